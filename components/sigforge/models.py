"""Every way to fuse, by one name; the same as :mod:`sigforge.methods.load`.

>>> {"gff", "sigfusion"} <= set(list_methods("vif"))
True
"""

from sigforge.methods.load import get_method, list_methods, load

__all__ = ["get_method", "list_methods", "load"]
