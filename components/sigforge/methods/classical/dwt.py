"""Fusion in the discrete wavelet domain (DWT).

After Li, Manjunath & Mitra, "Multisensor Image Fusion Using the Wavelet Transform", Graphical Models and Image
Processing 57(3), 1995.
Differs from the paper: the largest coefficient is chosen pixel by pixel, without its area-based activity measure and
consistency check, and the approximations are averaged, as in most later comparisons. The wavelet (db4) and the depth
(four levels) are our choice.
"""

import numpy as np
import pywt
import torch
from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import TASKS
from sigforge.methods.classical.rules import max_abs
from sigforge.methods.registry import at_least, fusion_method


@fusion_method(
    "dwt",
    tasks=TASKS,
    paper="Li, Manjunath & Mitra, Multisensor Image Fusion Using the Wavelet Transform, GMIP",
    year=1995,
    equation="D_l(F) = argmax_n |D_l(I_n)|; A(F) = mean_n A(I_n)",
    notes="pixelwise choice, no consistency check; computed on the CPU",
)
def fuse_dwt(sources: Tensor, *, wavelet: str = "db4", levels: int = 4, mode: str = "symmetric") -> Tensor:
    """Fuse sources subband by subband in a two-dimensional wavelet decomposition.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        wavelet: discrete wavelet by its PyWavelets name.
        levels: decomposition depth; no more than PyWavelets finds useful for the shorter side and this wavelet.
            An image smaller than the filter has none, and the result is the mean.
        mode: how the image continues beyond its border, a PyWavelets mode.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: ``levels`` is below one, or ``wavelet`` or ``mode`` is unknown.

    Example:
        >>> fuse_dwt(torch.rand(2, 1, 1, 61, 83), wavelet="haar").shape
        torch.Size([1, 1, 61, 83])
    """
    _check(wavelet, levels, mode)
    height, width = sources.shape[-2:]
    depth = min(levels, pywt.dwt_max_level(min(height, width), wavelet))
    approximation, *details = pywt.wavedec2(sources.detach().cpu().numpy(), wavelet, mode, depth)
    fused = [approximation.mean(0), *(tuple(map(_strongest, level)) for level in details)]
    image = torch.from_numpy(pywt.waverec2(fused, wavelet, mode))
    # An odd side comes back one pixel longer.
    return image[..., :height, :width].clamp(0, 1).to(sources.device)


def _strongest(subband: np.ndarray) -> np.ndarray:
    return max_abs(torch.from_numpy(subband)).numpy()


def _check(wavelet: str, levels: int, mode: str) -> None:
    at_least(1, levels=levels)
    if wavelet not in pywt.wavelist(kind="discrete"):
        raise UserError(f"option wavelet={wavelet!r} is no discrete wavelet of PyWavelets; try db4, haar or bior4.4")
    if mode not in pywt.Modes.modes:
        raise UserError(f"option mode={mode!r} must be one of {', '.join(pywt.Modes.modes)}")
