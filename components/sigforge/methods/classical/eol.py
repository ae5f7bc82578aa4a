"""Focus by energy of Laplacian (EOL).

Huang & Jing, "Evaluation of Focus Measures in Multi-Focus Image Fusion", Pattern Recognition Letters 28(4), 2007:
energy of the Laplacian of Eq. (10) in a neighbourhood decides which source is in focus; a majority filter removes
decisions that stand alone.
Differs from the paper: neighbourhoods slide over the image instead of tiling it, so that no block edges show, and
sources of equal energy share the pixel.
"""

from torch import Tensor

from sigforge.methods.classical.filters import ROUNDING, average, separable
from sigforge.methods.registry import at_least, fusion_method

# Laplacian [-1 -4 -1; -4 20 -4; -1 -4 -1] = 36 [1] - [1 4 1]^T [1 4 1]: one separable filter.
SMOOTH, GAIN = (1.0, 4.0, 1.0), 36.0


@fusion_method(
    "eol",
    tasks=("mfif",),
    paper="Huang & Jing, Evaluation of Focus Measures in Multi-Focus Image Fusion, Pattern Recognition Letters",
    year=2007,
    equation="F = I_n where the majority around has n = argmax_m sum_window (Laplacian I_m)^2",
    notes="sliding windows instead of blocks",
)
def fuse_eol(sources: Tensor, *, window_radius: int = 4, majority_radius: int = 7) -> Tensor:
    """Take each pixel from the source that is in focus there.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        window_radius: half side of the neighbourhood whose energy is summed, in pixels.
        majority_radius: half side of the neighbourhood that votes on each pixel.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: a radius is below one.

    Example:
        >>> import torch
        >>> near, far = torch.full((1, 1, 32, 32), 0.5), torch.rand(1, 1, 32, 32)
        >>> torch.equal(fuse_eol(torch.stack((near, far))), far)
        True
    """
    at_least(1, window_radius=window_radius, majority_radius=majority_radius)
    energy = average(laplacian(sources).square(), window_radius)
    votes = average(_winner(energy), majority_radius)
    # Votes are multiples of one over the window, so that only true ties are closer than rounding.
    chosen = _winner((votes / ROUNDING).round())
    return (chosen * sources).sum(0).clamp(0, 1)


def laplacian(image: Tensor) -> Tensor:
    """The 8-neighbour Laplacian of ``(..., H, W)``, exactly zero where it is rounding alone."""
    response = GAIN * image - separable(image, SMOOTH)
    return response * (response.abs() > GAIN * ROUNDING)


def _winner(score: Tensor) -> Tensor:
    """Shares of the sources (n, ...): one for the best, divided between equals."""
    best = (score == score.amax(0)).to(score.dtype)
    return best / best.sum(0)
