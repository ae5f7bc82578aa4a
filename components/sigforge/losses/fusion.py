r"""Losses of fusion networks: Eqs. (2) and (3) of SigFusion (Wang et al., AAAI 2026).

All compare a fused luma with both sources, which serve as pseudo-labels. Planes are (B, 1, H, W) in [0, 1].
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.dataset.tasks import MULTI_MODAL

MULTI_MODAL_WEIGHTS = {"mse": 2.0, "ssim": 1.0, "max": 10.0, "grad": 10.0}
DIGITAL_WEIGHTS = {"ssim": 1.0, "max": 10.0, "grad": 10.0}

SIGMA, RADIUS = 1.5, 5
C1, C2 = 0.01**2, 0.03**2


def task_weights(task: str) -> dict[str, float]:
    """Weights alpha, beta, gamma of the paper: Eq. (2) for ``vif`` and ``mif``, Eq. (3) for ``mfif`` and ``mef``."""
    return MULTI_MODAL_WEIGHTS if task in MULTI_MODAL else DIGITAL_WEIGHTS


def fusion_terms(fused: Tensor, a: Tensor, b: Tensor, *, target: str = "max") -> dict[str, Tensor]:
    """The unweighted terms of Eqs. (2)-(3).

    Args:
        fused: (B, 1, H, W) in [0, 1].
        a: first source, likewise.
        b: second source, likewise.
        target: what ``max`` compares with: ``max`` is the paper's brighter source. ``well_exposed`` blends the sources
            by their nearness to mid-grey, since the maximum of an exposure pair is simply the over-exposed image.

    Returns:
        mse (mean of both), ssim (1 - mean of both), max and grad (L1), each a scalar.
    """
    return {
        "mse": (F.mse_loss(fused, a) + F.mse_loss(fused, b)) / 2,
        "ssim": 1 - (ssim(fused, a) + ssim(fused, b)) / 2,
        "max": F.l1_loss(fused, intensity_target(a, b, target)),
        "grad": F.l1_loss(sobel_magnitude(fused), torch.maximum(sobel_magnitude(a), sobel_magnitude(b))),
    }


def weighted(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Sum of the terms that have a weight."""
    return torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()


def intensity_target(a: Tensor, b: Tensor, target: str) -> Tensor:
    """The image that the intensity term of Eqs. (2)-(3) pulls the fused one towards.

    Args:
        a: first source, (B, 1, H, W) in [0, 1].
        b: second source, likewise.
        target: ``max`` is the brighter source in every pixel, as in the paper. ``well_exposed`` blends both, each
            weighted by exp(-(x - 0.5)^2 / 0.08), the exposure weight of Mertens, Kautz & Van Reeth (2007).

    Returns:
        (B, 1, H, W) in [0, 1].

    Example:
        >>> dark, bright = torch.full((1, 1, 1, 1), 0.1), torch.full((1, 1, 1, 1), 1.0)
        >>> [round(float(intensity_target(dark, bright, target)), 2) for target in ("max", "well_exposed")]
        [1.0, 0.32]
    """
    if target == "max":
        return torch.maximum(a, b)
    weight_a, weight_b = (torch.exp(-((x - 0.5) ** 2) / (2 * 0.2**2)) for x in (a, b))
    return (weight_a * a + weight_b * b) / (weight_a + weight_b)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004): Gaussian 11 x 11, sigma 1.5, valid windows, range 1."""
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (var_x + var_y + C2)
    return (luminance * structure).mean()


def sobel_magnitude(x: Tensor) -> Tensor:
    """|Sobel x| + |Sobel y|, (B, 1, H, W)."""
    return sobel(x).abs().sum(1, keepdim=True)


def sobel(x: Tensor) -> Tensor:
    """Horizontal and vertical Sobel differences, (B, 2, H, W), of weight 8; the border is replicated.

    Example:
        >>> ramp = torch.arange(6.0).expand(1, 1, 6, 6)
        >>> sobel(ramp)[0, :, 2, 2]
        tensor([8., 0.])
    """
    kernel = x.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), torch.stack([kernel, kernel.T])[:, None])


def _blur(x: Tensor) -> Tensor:
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=x.dtype, device=x.device)
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = window / window.sum()
    return F.conv2d(F.conv2d(x, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
