"""Classical fusion methods and the registry that holds them.

>>> import torch
>>> near, far = torch.rand(2, 1, 1, 32, 32)
>>> get_method("gff").fuse(near, far, r1=9).shape
torch.Size([1, 1, 32, 32])
"""

from components.baselines.provenance import method_sources
from components.baselines.registry import FusionMethod, fusion_method, get_method, list_methods

__all__ = ["FusionMethod", "fusion_method", "get_method", "list_methods", "method_sources"]
