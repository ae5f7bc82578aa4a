"""Scoring a batch of fused images with any set of registered metrics."""

from collections.abc import Iterable

import torch
from torch import Tensor

from sigforge.metrics.bands import is_large
from sigforge.metrics.context import ROWS, MetricContext
from sigforge.metrics.registry import PAPER, Metric, select_metrics

#: Images are scored together up to this many pixels, on a CPU and on a GPU: more of them leave the cache (eight images
#: of 512x512 at once took 98 ms each for Q_G, one by one 24) and need more memory.
_PIXELS_AT_ONCE = 2**18, 2**23
_HALF_A_LEVEL = 0.5 / 255


@torch.no_grad()
def score(
    fused: Tensor,
    a: Tensor,
    b: Tensor,
    *more: Tensor,
    metrics: str | Iterable[str | Metric] = PAPER,
    reference: Tensor | None = None,
) -> dict[str, Tensor]:
    """Score fused images against their sources, and against the true fused image where there is one.

    The metrics are defined on the 8-bit image that is saved to disk, so the inputs are first rounded to grey levels
    0..255. Intermediates (gradients, histograms, ...) are computed once and shared by the metrics of one call.

    Args:
        fused: (B, 1, H, W), floating point, in [0, 1].
        a: first source, same shape and range; `ir`, `ct|pet|spect`, `near` or `under`.
        b: second source, same shape and range; `vis`, `mri`, `far` or `over`.
        more: further sources, same shape and range, for the metrics whose ``sources`` are ``many``.
        metrics: metrics, or names from :func:`sigforge.metrics.list_metrics`; ``paper`` for the six of the paper's
            tables, ``all`` for every metric that these inputs allow.
        reference: true fused images, same shape and range.

    Returns:
        One float64 tensor (B,) per name, in the order asked for. A value is NaN where the metric is undefined on an
        image, for the reason given in the metric's own docstring.

    Raises:
        UserError: a metric's name is unknown, or the metric needs two sources or a reference and has not got them.
        ValueError: shapes differ or are not (B, 1, H, W), or values are not floats in [0, 1], or are NaN.

    Example:
        >>> ramp = torch.linspace(0, 1, 64 * 64).view(1, 1, 64, 64)
        >>> result = score(ramp, ramp, ramp, metrics="q_g, sd, vif_sum")
        >>> {name: round(value.item(), 3) for name, value in result.items()}
        {'q_g': 0.987, 'sd': 73.632, 'vif_sum': 2.0}
    """
    chosen = select_metrics(metrics, sources=2 + len(more), reference=reference is not None)
    images = {"a": a, "b": b} | {f"source {number}": image for number, image in enumerate(more, start=3)}
    images["fused"] = fused
    if reference is not None:
        images["reference"] = reference
    _check_shapes(images)
    kind = torch.uint8 if is_large(fused[0].numel()) else torch.float64
    levels = [_grey_levels(image, name, kind) for name, image in images.items()]
    together = max(1, _PIXELS_AT_ONCE[fused.is_cuda] // fused[0].numel())
    parts: list[list[Tensor]] = [[] for _ in chosen]
    for planes in zip(*(torch.split(level, together) for level in levels), strict=True):
        truth = None if reference is None else planes[-1].double()
        context = MetricContext(torch.stack(planes[: len(more) + 3]), truth)
        for part, entry in zip(parts, chosen, strict=True):
            part.append(entry.function(context))
    return {entry.name: torch.cat(part) for entry, part in zip(chosen, parts, strict=True)}


def _check_shapes(images: dict[str, Tensor]) -> None:
    shape = tuple(images["fused"].shape)
    if len(shape) != 4 or shape[1] != 1 or 0 in shape:
        raise ValueError(f"fused has shape {shape}; expected (B, 1, H, W), none of them empty")
    for name, image in images.items():
        if tuple(image.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(image.shape)} but fused has shape {shape}")


def _grey_levels(image: Tensor, name: str, kind: torch.dtype) -> Tensor:
    """Round (B, 1, H, W) in [0, 1] to whole numbers 0..255, as (B, H, W) of a type that holds them."""
    if not image.is_floating_point():
        raise ValueError(f"{name} has dtype {image.dtype}; expected floating point in [0, 1] (divide 8-bit by 255)")
    low, high = (bound.item() for bound in image.aminmax())
    # Negated so that NaN, which compares false with everything, is refused too.
    if not (low >= -_HALF_A_LEVEL and high <= 1 + _HALF_A_LEVEL):
        if count := int(image.isnan().sum()):
            raise ValueError(f"{name} has {count} NaN pixels; mend the image or leave it out")
        raise ValueError(f"{name} has values from {low:g} to {high:g}; expected [0, 1]")
    parts = (part.double().mul_(255).round_().to(kind) for part in torch.split(image.squeeze(1), ROWS, dim=-2))
    return torch.cat(list(parts), dim=-2)
