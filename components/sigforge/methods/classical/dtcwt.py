"""Fusion in the dual-tree complex wavelet domain (DTCWT).

Lewis, O'Callaghan, Nikolov, Bull & Canagarajah, "Pixel- and Region-Based Image Fusion with Complex Wavelets",
Information Fusion 8(2), 2007, pixel-based rule. Transform: Selesnick, Baraniuk & Kingsbury, "The Dual-Tree Complex
Wavelet Transform", IEEE Signal Processing Magazine 22(6), 2005: four separable trees whose sums and differences are the
real and imaginary parts of six oriented subbands.
Filters: nearly symmetric (Farras) at the first level, one sample apart in the two trees; Kingsbury's 10-tap Q-shift
beyond, reversed in time in the second tree.
Differs from the paper: the image continues as its mirror image, padded to a multiple of 2^levels.
"""

from functools import reduce
from operator import add

from torch import Tensor

from sigforge.dataset.tasks import TASKS
from sigforge.methods.classical.filters import mirrored
from sigforge.methods.classical.pyramid import max_levels
from sigforge.methods.classical.wavelets import decimate, interpolate
from sigforge.methods.registry import at_least, fusion_method

# Low-pass filters of the first tree, as printed with the transform's description: orthonormal to 1e-14.
_END, _SIDE, _CENTRE = 0.01122679215254, 0.08838834764832, 0.69587998903400
FARRAS = (0.0, -_SIDE, _SIDE, _CENTRE, _CENTRE, _SIDE, -_SIDE, _END, _END, 0.0)
Q_SHIFT = (
    0.03516383657149, 0.0, -0.08832942445107, 0.23389032060724, 0.76027236906613,
    0.58751829772356, 0.0, -0.11430183714425, 0.0, 0.0,
)  # fmt: skip
# Mirrored pixels around the image, in units of the coarsest sample: what wraps around stays outside.
MARGIN = 2

Taps = tuple[float, ...]
Trees = list[list[Tensor]]


@fusion_method(
    "dtcwt",
    tasks=TASKS,
    paper="Lewis et al., Pixel- and Region-Based Image Fusion with Complex Wavelets, Information Fusion",
    year=2007,
    equation="C_l,o(F) = argmax_n |C_l,o(I_n)| in six orientations o; A(F) = mean_n A(I_n)",
    notes="fewer levels where the image is too small for them",
)
def fuse_dtcwt(sources: Tensor, *, levels: int = 4) -> Tensor:
    """Fuse sources by the magnitudes of their complex oriented wavelet coefficients.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        levels: decomposition depth; no more than the shorter side can be halved.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: ``levels`` is below one.

    Example:
        >>> import torch
        >>> fuse_dtcwt(torch.rand(2, 1, 1, 61, 83)).shape
        torch.Size([1, 1, 61, 83])
    """
    at_least(1, levels=levels)
    depth, (height, width) = min(levels, max_levels(sources)), sources.shape[-2:]
    unit = 1 << depth
    image = sources
    for dim, side in ((-2, height), (-1, width)):
        image = mirrored(image, MARGIN * unit, MARGIN * unit + -side % unit, dim)
    # A quarter of the energy goes to each tree, so that together they are a tight frame.
    low = _fuse([[image / 2] * 2 for _ in range(2)], depth, first=True)
    fused = reduce(add, (low[row][column] for row in range(2) for column in range(2))) / 2
    return fused[..., MARGIN * unit :, MARGIN * unit :][..., :height, :width].clamp(0, 1)


def _fuse(trees: Trees, depth: int, *, first: bool = False) -> Trees:
    """Fuse the low-pass images of the four trees (row filters by column filters); (n, ...) each becomes (...)."""
    if not depth:
        return [[image.mean(0) for image in row] for row in trees]
    banks = [_bank(tree, first) for tree in range(2)]
    bands = [[_analyse(trees[r][c], banks[r], banks[c]) for c in range(2)] for r in range(2)]
    low = _fuse([[bands[r][c][0] for c in range(2)] for r in range(2)], depth - 1)
    details = [_strongest([[bands[r][c][band] for c in range(2)] for r in range(2)]) for band in (1, 2, 3)]
    return [
        [_synthesise([low[r][c], *(detail[r][c] for detail in details)], banks[r], banks[c]) for c in range(2)]
        for r in range(2)
    ]


def _strongest(band: Trees) -> Trees:
    """Per pixel and orientation the complex coefficient of largest magnitude, turned back into the four trees."""
    (aa, ab), (ba, bb) = band
    minus, plus = (_choose(aa - bb, ab + ba), _choose(aa + bb, ab - ba))
    return [[(minus[0] + plus[0]) / 2, (minus[1] + plus[1]) / 2], [(minus[1] - plus[1]) / 2, (plus[0] - minus[0]) / 2]]


def _choose(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients (n, ...) to those of the strongest source; sources of the same magnitude share."""
    magnitude = real.square() + imaginary.square()
    winner = (magnitude == magnitude.amax(0)).to(real.dtype)
    winner = winner / winner.sum(0)
    return (winner * real).sum(0), (winner * imaginary).sum(0)


def _bank(tree: int, first: bool) -> tuple[Taps, Taps]:
    """Low- and high-pass of one tree; the high-pass is the alternating flip."""
    low = (FARRAS[-1:] + FARRAS[:-1] if tree else FARRAS) if first else Q_SHIFT[::-1] if tree else Q_SHIFT
    return low, tuple((-1) ** k * tap for k, tap in enumerate(reversed(low)))


def _analyse(image: Tensor, rows: tuple[Taps, Taps], columns: tuple[Taps, Taps]) -> list[Tensor]:
    return [decimate(decimate(image, r, -2), c, -1) for r in rows for c in columns]


def _synthesise(bands: list[Tensor], rows: tuple[Taps, Taps], columns: tuple[Taps, Taps]) -> Tensor:
    taps = [(r, c) for r in rows for c in columns]
    parts = (interpolate(interpolate(band, c, -1), r, -2) for band, (r, c) in zip(bands, taps, strict=True))
    return reduce(add, parts)
