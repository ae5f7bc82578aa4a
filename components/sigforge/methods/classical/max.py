"""Pixelwise maximum of the sources.

Not offered for ``mef``: there it would hardly differ from the over-exposed source.
"""

from torch import Tensor

from sigforge.methods.registry import fusion_method


@fusion_method("max", tasks=("vif", "mif", "mfif"), equation="F = max_n I_n")
def fuse_max(sources: Tensor) -> Tensor:
    """Take the brightest source at each pixel.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].
    """
    return sources.amax(0)
