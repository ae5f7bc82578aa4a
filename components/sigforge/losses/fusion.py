r"""Losses of fusion networks: Eqs. (2) and (3) of SigFusion (Wang et al., AAAI 2026), and other readings of them.

All compare a fused luma with its sources, which serve as pseudo-labels. Planes are (B, 1, H, W) in [0, 1].
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.dataset.tasks import MULTI_MODAL
from sigforge.losses.fidelity import softest, visual_fidelity
from sigforge.signal.gradients import sobel, sobel_magnitude

Term = Literal["mse", "ssim", "max", "grad", "both"]
GradientReading = Literal["unsigned", "signed"]
IntensityTarget = Literal["max", "mean", "sharper", "well_exposed"]
MseTarget = Literal["sources", "intensity"]

MULTI_MODAL_WEIGHTS: dict[Term, float] = {"mse": 2.0, "ssim": 1.0, "max": 10.0, "grad": 10.0}
DIGITAL_WEIGHTS: dict[Term, float] = {"ssim": 1.0, "max": 10.0, "grad": 10.0}

SIGMA, RADIUS = 1.5, 5
C1, C2 = 0.01**2, 0.03**2
SHARPNESS_WINDOW = 9
"""Side of the squares over which sources are compared for sharpness, pixels."""


@dataclass(frozen=True)
class LossReading:
    """What the terms of Eqs. (2)-(3) compare the fused image with; the defaults are how the paper is usually read.

    Attributes:
        gradient: ``unsigned`` compares |Sx| + |Sy| with the largest of the sources, which leaves direction and sign
            open; ``signed`` compares both differences, each with that of the source where it is strongest.
        intensity: target of ``max``, see :func:`intensity_target`.
        mse: ``mse`` is to every source, averaged, or to the intensity target.
    """

    gradient: GradientReading = "unsigned"
    intensity: IntensityTarget = "max"
    mse: MseTarget = "sources"


@dataclass(frozen=True)
class FusionLoss:
    """A reading with weights of its terms.

    Example:
        >>> loss = FusionLoss(weights={"max": 10.0})
        >>> dark, bright = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
        >>> total, terms = loss(bright - 0.5, [dark, bright])
        >>> float(total), sorted(terms)
        (5.0, ['max'])
    """

    reading: LossReading = LossReading()
    weights: Mapping[Term, float] = field(default_factory=lambda: MULTI_MODAL_WEIGHTS)

    def __call__(self, fused: Tensor, sources: Iterable[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and the terms that have a weight, unweighted."""
        counted = {name: weight for name, weight in self.weights.items() if weight}
        terms = fusion_terms(fused, *sources, reading=self.reading, names=counted)
        return weighted(terms, counted), terms


def task_weights(task: str) -> dict[Term, float]:
    """Weights alpha, beta, gamma of the paper: Eq. (2) for ``vif`` and ``mif``, Eq. (3) for ``mfif`` and ``mef``."""
    return MULTI_MODAL_WEIGHTS if task in MULTI_MODAL else DIGITAL_WEIGHTS


def fusion_terms(
    fused: Tensor,
    *sources: Tensor,
    reading: LossReading = LossReading(),
    names: Iterable[Term] = tuple(MULTI_MODAL_WEIGHTS),
) -> dict[str, Tensor]:
    """The unweighted terms of Eqs. (2)-(3), and ``both``, which is ours.

    Args:
        fused: (B, 1, H, W).
        sources: each (B, 1, H, W); one alone makes all terms compare with it.
        reading: what the terms compare with.
        names: the terms that are computed.

    Returns:
        Scalars: ``mse``; ``ssim``, 1 - mean over the sources; ``max`` and ``grad``, L1; ``both``, 1 - the visual
        fidelity to the source that is kept worse.

    Example:
        >>> a, b = torch.rand(2, 1, 1, 32, 32)
        >>> float(fusion_terms(torch.maximum(a, b), a, b)["max"])
        0.0
    """
    stack = torch.stack(sources)
    compute = {
        "mse": lambda: torch.stack([F.mse_loss(fused, label) for label in _mse_labels(stack, reading)]).mean(),
        "ssim": lambda: 1 - torch.stack([ssim(fused, source) for source in sources]).mean(),
        "max": lambda: F.l1_loss(fused, intensity_target(reading.intensity, *sources)),
        "grad": lambda: _gradient_term(fused, stack, reading.gradient),
        "both": lambda: 1 - softest(torch.stack([visual_fidelity(source, fused) for source in sources])).mean(),
    }
    return {name: compute[name]() for name in names}


def weighted(terms: Mapping[str, Tensor], weights: Mapping[Any, float]) -> Tensor:
    """Sum of the terms that have a weight."""
    return torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()


def intensity_target(target: IntensityTarget, *sources: Tensor) -> Tensor:
    """The image that the intensity term of Eqs. (2)-(3) pulls the fused one towards.

    Args:
        target: ``max`` is the brightest source in every pixel, as in the paper; ``mean`` their mean. ``sharper`` is the
            source with the stronger gradients around the pixel, which is what fusing foci asks for. ``well_exposed``
            blends the sources, each weighted by exp(-(x - 0.5)^2 / 0.08), the exposure weight of Mertens, Kautz & Van
            Reeth (2007), since the maximum of an exposure pair is simply the over-exposed image.
        sources: each (B, 1, H, W) in [0, 1].

    Returns:
        (B, 1, H, W) in [0, 1].

    Example:
        >>> dark, bright = torch.full((1, 1, 1, 1), 0.1), torch.full((1, 1, 1, 1), 1.0)
        >>> [round(float(intensity_target(target, dark, bright)), 2) for target in ("max", "mean", "well_exposed")]
        [1.0, 0.55, 0.32]
    """
    stack = torch.stack(sources)
    if target == "max":
        return stack.amax(0)
    if target == "mean":
        return stack.mean(0)
    if target == "sharper":
        return _take(stack, torch.stack([_sharpness(source) for source in sources]))
    weights = torch.exp(-((stack - 0.5) ** 2) / (2 * 0.2**2))
    return (weights * stack).sum(0) / weights.sum(0)


def strongest_gradient(sources: Tensor) -> Tensor:
    """Horizontal and vertical Sobel differences, each of the source where it is largest in size, with its sign.

    Args:
        sources: (n, B, 1, H, W).

    Returns:
        (B, 2, H, W).
    """
    differences = torch.stack([sobel(source) for source in sources])
    return _take(differences, differences.abs())


def _gradient_term(fused: Tensor, sources: Tensor, reading: GradientReading) -> Tensor:
    if reading == "signed":
        return (sobel(fused) - strongest_gradient(sources)).abs().sum(1).mean()
    strongest = torch.stack([sobel_magnitude(source) for source in sources]).amax(0)
    return F.l1_loss(sobel_magnitude(fused), strongest)


def _mse_labels(sources: Tensor, reading: LossReading) -> Tensor:
    return sources if reading.mse == "sources" else intensity_target(reading.intensity, *sources)[None]


def _sharpness(source: Tensor) -> Tensor:
    half = SHARPNESS_WINDOW // 2
    padded = F.pad(sobel_magnitude(source), (half,) * 4, mode="replicate")
    return F.avg_pool2d(padded, SHARPNESS_WINDOW, stride=1)


def _take(values: Tensor, scores: Tensor) -> Tensor:
    """Of n values (n, ...), at every place that of the highest score."""
    return values.gather(0, scores.argmax(0, keepdim=True))[0]


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004): Gaussian 11 x 11, sigma 1.5, valid windows, range 1."""
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (var_x + var_y + C2)
    return (luminance * structure).mean()


def _blur(x: Tensor) -> Tensor:
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=x.dtype, device=x.device)
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = window / window.sum()
    return F.conv2d(F.conv2d(x, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
