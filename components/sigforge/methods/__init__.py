"""Every way to fuse: ``load`` one by name, ``list_methods``, ``get_method``, and ``fusion_method`` to add one.

These names are looked up when they are used, so importing one method does not import the others.

>>> import torch
>>> from sigforge.methods import list_methods, load
>>> {"gff", "sigfusion"} <= set(list_methods("vif"))
True
>>> load("gff").fuse(torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)).shape
torch.Size([1, 1, 32, 32])
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigforge.methods.loading import load
    from sigforge.methods.registry import FusionMethod, fusion_method, get_method, list_methods

__all__ = ["FusionMethod", "fusion_method", "get_method", "list_methods", "load"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'loading' if name == 'load' else 'registry'}"), name)
