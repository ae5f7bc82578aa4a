"""Exposure fusion (Mertens).

Mertens, Kautz & Van Reeth, "Exposure Fusion", Pacific Graphics 2007, section 3: quality measures, then a blend of the
sources' Laplacian pyramids by the Gaussian pyramids of the weights.
Differs from the paper: it sees luma alone, so there is no saturation measure and well-exposedness has one factor, not
one per colour channel; contrast below float32 rounding counts as zero. Pyramid depth, kernel and borders are those of
the authors' MATLAB code; OpenCV's MergeMertens has other borders and one level more, which moves a 256 x 256 result by
0.03 to 0.04 on average.
"""

from torch import Tensor

from sigforge.methods.classical.filters import contrast
from sigforge.methods.classical.pyramid import collapse, gaussian_pyramid, laplacian_pyramid, max_levels
from sigforge.methods.classical.rules import normalise
from sigforge.methods.registry import at_least, fusion_method

# Centre tap of the binomial kernel [1 4 6 4 1] / 16 that the authors' code uses.
BINOMIAL = 0.375


@fusion_method(
    "mertens",
    tasks=("mef",),
    paper="Mertens, Kautz & Van Reeth, Exposure Fusion, Pacific Graphics",
    year=2007,
    equation="LP_l(F) = sum_n GP_l(W_n) LP_l(I_n), W = C^omega_c E^omega_e",
    notes="on luma: no saturation measure",
)
def fuse_mertens(sources: Tensor, *, omega_c: float = 1.0, omega_e: float = 1.0, sigma: float = 0.2) -> Tensor:
    r"""Fuse exposures by contrast and well-exposedness.

    The weights are :math:`W = C^{\omega_C} E^{\omega_E}` with :math:`C` the magnitude of the Laplacian and
    :math:`E = \exp(-(I - 0.5)^2 / 2 \sigma^2)`, scaled to sum to one over the sources.

    Args:
        sources: ``(n, B, 1, H, W)`` luma in [0, 1].
        omega_c: exponent of contrast; 0 switches it off.
        omega_e: exponent of well-exposedness; 0 switches it off.
        sigma: width of the well-exposedness curve around middle grey.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: an exponent is negative or ``sigma`` not positive.

    Example:
        >>> import torch
        >>> exposures = torch.tensor([0.05, 0.6]).reshape(2, 1, 1, 1, 1).expand(2, 1, 1, 8, 8)
        >>> bool(fuse_mertens(exposures, omega_c=0.0).mean() > 0.5)
        True
    """
    at_least(0, omega_c=omega_c, omega_e=omega_e)
    at_least(1e-3, sigma=sigma)
    exposedness = (-0.5 * ((sources - 0.5) / sigma) ** 2).exp()
    weights = normalise(contrast(sources) ** omega_c * exposedness**omega_e)
    levels = max(max_levels(sources) - 1, 0)
    weight_layers = gaussian_pyramid(weights, levels, a=BINOMIAL)
    source_layers = laplacian_pyramid(sources, levels, a=BINOMIAL)
    fused = [(weight * layer).sum(0) for weight, layer in zip(weight_layers, source_layers, strict=True)]
    return collapse(fused, a=BINOMIAL).clamp(0, 1)
