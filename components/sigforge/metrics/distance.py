"""How far the fused image is from either source: what tells a copy."""

import torch
from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.registry import metric

_HERE = "this project; described, not judged: less is not better"


@metric(
    "distance a",
    higher_is_better=False,
    range=(0.0, 255.0),
    convention="mean absolute difference to source a in grey levels; zero for a copy of it",
    paper=_HERE,
    symmetric=False,
    equation=r"\overline{|A - F|}",
    ranked=False,
    judged=False,
)
def distance_a(context: MetricContext) -> Tensor:
    """Mean grey-level distance to the first source.

    Example:
        >>> from sigforge.metrics import score
        >>> black, white = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
        >>> [score(black, black, white, metrics=name)[name].item() for name in ("distance_a", "distance_b", "balance")]
        [0.0, 255.0, 0.0]
    """
    return context.once(distance_by_source)[0]


@metric(
    "distance b",
    higher_is_better=False,
    range=(0.0, 255.0),
    convention="mean absolute difference to source b in grey levels; zero for a copy of it",
    paper=_HERE,
    symmetric=False,
    equation=r"\overline{|B - F|}",
    ranked=False,
    judged=False,
)
def distance_b(context: MetricContext) -> Tensor:
    """Mean grey-level distance to the second source."""
    return context.once(distance_by_source)[1]


@metric(
    "balance",
    range=(0.0, 1.0),
    convention="the smaller of both distances over the larger: 0 for a copy, 1 for the mean of both",
    paper=_HERE,
    equation=r"\min(d_A, d_B) / \max(d_A, d_B),\ d_S = \overline{|S - F|}",
    ranked=False,
    judged=False,
)
def balance(context: MetricContext) -> Tensor:
    """Nearest over farthest source, by mean grey-level distance. One where all images are equal."""
    distances = context.once(distance_by_source)
    farthest = distances.amax(0)
    return torch.where(farthest == 0, 1.0, distances.amin(0) / farthest)


def distance_by_source(context: MetricContext) -> Tensor:
    """Mean absolute difference of each source and the fused image in grey levels, (n, B)."""
    return (context.sources - context.fused).abs_().mean((-2, -1))
