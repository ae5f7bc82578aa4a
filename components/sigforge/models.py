"""Every way to fuse, by one name; the same as :mod:`sigforge.methods`.

>>> {"gff", "sigfusion"} <= set(list_methods("vif"))
True
"""

from sigforge.methods.loading import load
from sigforge.methods.registry import get_method, list_methods

__all__ = ["get_method", "list_methods", "load"]
