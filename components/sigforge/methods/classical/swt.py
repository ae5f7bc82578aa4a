"""Fusion in a shift-invariant wavelet frame (SWT).

Rockinger, "Image Sequence Fusion Using a Shift-Invariant Wavelet Transform", ICIP 1997: the undecimated transform
removes the flicker and the blocks that the choice of decimated coefficients causes.
Differs from the paper: the wavelet (Haar) and the depth (four levels) are our choice; the image continues as its mirror
image as far as the filters reach.
"""

import pywt
from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import TASKS
from sigforge.methods.classical.filters import mirrored
from sigforge.methods.classical.pyramid import max_levels
from sigforge.methods.classical.rules import max_abs
from sigforge.methods.classical.wavelets import join, undecimated_split
from sigforge.methods.registry import at_least, fusion_method


@fusion_method(
    "swt",
    tasks=TASKS,
    paper="Rockinger, Image Sequence Fusion Using a Shift-Invariant Wavelet Transform, ICIP",
    year=1997,
    equation="D_l(F) = argmax_n |D_l(I_n)|, undecimated; A(F) = mean_n A(I_n)",
    notes="fewer levels where the image is too small for them",
)
def fuse_swt(sources: Tensor, *, wavelet: str = "haar", levels: int = 4) -> Tensor:
    """Fuse sources subband by subband in an undecimated wavelet decomposition.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        wavelet: discrete wavelet by its PyWavelets name.
        levels: decomposition depth; no more than the shorter side can be halved.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: ``levels`` is below one, or ``wavelet`` is unknown.

    Example:
        >>> import torch
        >>> fuse_swt(torch.rand(2, 1, 1, 61, 83), wavelet="db2").shape
        torch.Size([1, 1, 61, 83])
    """
    at_least(1, levels=levels)
    bank, (height, width) = _bank(wavelet), sources.shape[-2:]
    depth = min(levels, max_levels(sources))
    reach = (bank.dec_len - 1) * ((1 << depth) - 1)
    image = mirrored(mirrored(sources, reach, reach, -2), reach, reach, -1)
    fused = _fuse(image, bank, depth, step=1)
    return fused[..., reach : reach + height, reach : reach + width].clamp(0, 1)


def _fuse(image: Tensor, bank: pywt.Wavelet, depth: int, step: int) -> Tensor:
    """Split once, take the strongest details, go on with the approximation; the details of one level live at a time."""
    if not depth:
        return image.mean(0)
    analysis, synthesis = (bank.dec_lo, bank.dec_hi), (bank.rec_lo, bank.rec_hi)
    rows = undecimated_split(image, *analysis, -2, step=step)
    (approximation, *details), *others = (undecimated_split(band, *analysis, -1, step=step) for band in rows)
    (detail,), ((first, second),) = map(max_abs, details), (map(max_abs, bands) for bands in others)
    low = join(_fuse(approximation, bank, depth - 1, 2 * step), detail, *synthesis, -1, step=step)
    high = join(first, second, *synthesis, -1, step=step)
    return join(low, high, *synthesis, -2, step=step)


def _bank(wavelet: str) -> pywt.Wavelet:
    if wavelet not in pywt.wavelist(kind="discrete"):
        raise UserError(f"option wavelet={wavelet!r} is no discrete wavelet of PyWavelets; try haar, db2 or bior2.2")
    return pywt.Wavelet(wavelet)
