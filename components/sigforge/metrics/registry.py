"""Registry of fusion metrics: each is a function of a :class:`MetricContext`, with the facts that tables need.

The modules of this package, and those that installed packages name as entry points ``sigforge.metrics``, are imported
when the first metric is asked for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.core.provenance import module_of
from sigforge.core.registry import Registry
from sigforge.metrics.context import MetricContext

MetricFunction = Callable[[MetricContext], Tensor]
Values = TypeVar("Values", float, np.ndarray)

#: The six metrics of the SigFusion paper, in the order of its tables; its "VIFF" is ``vif_sum``.
PAPER = ("q_g", "q_m", "q_p", "mi", "sd", "vif_sum")

#: What ``sigforge.evaluation.both`` ranks by: whether both sources are kept, and whether something was invented.
BOTH = ("q_g_min", "q_p_min", "vif_min", "ssim_local_min", "nabf")
#: Mean grey-level distance to either source, by which copies are told.
DISTANCES = ("distance_a", "distance_b")
#: Words that stand for several metrics.
WORDS = {"paper": PAPER, "both": (*BOTH, *DISTANCES)}


@dataclass(frozen=True)
class Metric:
    """One metric and what a reader of its numbers has to know.

    Args:
        name: key in :func:`sigforge.metrics.score`'s answer; one name per variant.
        symbol: what papers print, e.g. ``Q_G``.
        higher_is_better: direction of quality; with a ``target``, false.
        range: smallest and largest possible value; infinite where there is no bound.
        convention: one line: which variant this is, and who uses it.
        paper: where the metric was proposed.
        equation: the definition in one line of LaTeX.
        function: context of a batch of size B -> float64 values of shape (B,).
        needs_reference: compares with a ground-truth fused image, not with the sources.
        colour: which planes the metric reads.
        sources: ``pair`` where the definition is for exactly two sources, ``many`` where any number will do.
        symmetric: the order of the sources does not matter.
        target: the best value, where it is neither the largest nor the smallest; the distance from it counts.
        variant_of: the metric that this one is another convention of. A rank over several metrics counts one of them.
        ranked: counts in a rank over several metrics; parts of other metrics and plain descriptions do not.
        judged: some values are better than others; false for descriptions, where no method is best.
    """

    name: str
    symbol: str
    higher_is_better: bool
    range: tuple[float, float]
    convention: str
    paper: str
    equation: str
    function: MetricFunction = field(repr=False)
    needs_reference: bool = False
    colour: Literal["gray", "rgb"] = "gray"
    sources: Literal["pair", "many"] = "many"
    symmetric: bool = True
    target: float | None = None
    variant_of: str | None = None
    ranked: bool = True
    judged: bool = True

    @property
    def module(self) -> str:
        """The module that defines it, whose imports decide its values."""
        return module_of(self.function)

    @property
    def family(self) -> str:
        """The module of ``sigforge.metrics`` that holds the metric, e.g. ``gradient``."""
        return self.module.rpartition(".")[2]

    @property
    def arrow(self) -> str:
        """The direction as tables print it: ``↑`` or ``↓``, ``→0`` where zero is best, or nothing."""
        if not self.judged:
            return ""
        if self.target is not None:
            return f"→{self.target:g}"
        return "↑" if self.higher_is_better else "↓"

    @property
    def latex_arrow(self) -> str:
        r"""The direction in LaTeX: ``$\uparrow$``, ``$\downarrow$`` or ``$\to 0$``."""
        if not self.judged:
            return ""
        if self.target is not None:
            return rf"$\to {self.target:g}$"
        return r"$\uparrow$" if self.higher_is_better else r"$\downarrow$"

    def compared(self, values: Values) -> Values:
        """What methods are compared by: the values themselves, or their distance from the target, where less is better.

        Example:
            >>> [get_metric("q_sf").compared(value) for value in (-0.25, 0.25)]
            [0.25, 0.25]
        """
        return values if self.target is None else abs(values - self.target)


METRICS: Registry[Metric] = Registry("metric", modules=("sigforge.metrics.*",), group="sigforge.metrics")


def metric(
    symbol: str,
    *,
    range: tuple[float, float],
    convention: str,
    paper: str,
    equation: str,
    higher_is_better: bool = True,
    needs_reference: bool = False,
    colour: Literal["gray", "rgb"] = "gray",
    sources: Literal["pair", "many"] = "many",
    symmetric: bool = True,
    target: float | None = None,
    variant_of: str | None = None,
    ranked: bool = True,
    judged: bool = True,
) -> Callable[[MetricFunction], MetricFunction]:
    """Register the decorated function under its own name, with what a reader of its numbers has to know.

    Args:
        symbol: what papers print, e.g. ``Q_G``.
        range: smallest and largest possible value; infinite where there is no bound.
        convention: one line: which variant this is, and who uses it.
        paper: where the metric was proposed.
        equation: the definition in one line of LaTeX.
        higher_is_better: direction of quality; with a ``target``, false.
        needs_reference: compares with a ground-truth fused image, not with the sources.
        colour: which planes the metric reads.
        sources: ``pair`` where the definition is for exactly two sources, ``many`` where any number will do.
        symmetric: the order of the sources does not matter.
        target: the best value, where it is neither the largest nor the smallest; the distance from it counts.
        variant_of: the metric that this one is another convention of. A rank over several metrics counts one of them.
        ranked: it counts in the mean rank of a leaderboard.
        judged: it has a better and a worse; false for what is described only.

    Returns:
        the decorator, which gives the function back as it is.

    Raises:
        ValueError: the name is taken.
    """

    def register(function: MetricFunction) -> MetricFunction:
        entry = Metric(
            name=function.__name__,
            symbol=symbol,
            higher_is_better=higher_is_better,
            range=range,
            convention=convention,
            paper=paper,
            equation=equation,
            function=function,
            needs_reference=needs_reference,
            colour=colour,
            sources=sources,
            symmetric=symmetric,
            target=target,
            variant_of=variant_of,
            ranked=ranked,
            judged=judged,
        )
        METRICS.add(entry.name, entry, holder=entry.module)
        return function

    return register


def get_metric(name: str) -> Metric:
    """Look a metric up.

    Raises:
        UserError: no metric has this name; the message names the nearest.

    Example:
        >>> get_metric("q_g").symbol
        'Q_G'
    """
    return METRICS.get(name)


def select_metrics(metrics: str | Iterable[str | Metric], *, sources: int = 2, reference: bool = False) -> list[Metric]:
    """The metrics that names stand for, without repetition, in the order given.

    Args:
        metrics: metrics or their names, or one string of names separated by commas. ``paper`` stands for the six of
            the paper's tables, ``both`` for :data:`BOTH` and :data:`DISTANCES`,
            ``all`` for every metric that is defined for these sources and needs nothing that is not there.
        sources: how many sources each fused image has.
        reference: whether there is a ground-truth fused image.

    Raises:
        UserError: an unknown name; a metric of pairs for another number of sources; a missing reference.

    Example:
        >>> [entry.name for entry in select_metrics("sd, paper")]
        ['sd', 'q_g', 'q_m', 'q_p', 'mi', 'vif_sum']
    """
    given = [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else metrics
    chosen: dict[str, Metric] = {}
    for name in given:
        if name == "all":
            every = map(get_metric, list_metrics())
            chosen |= {entry.name: entry for entry in every if not _obstacle(entry, sources, reference)}
            continue
        for entry in [name] if isinstance(name, Metric) else map(get_metric, WORDS.get(name, (name,))):
            if obstacle := _obstacle(entry, sources, reference):
                raise UserError(f"metric {entry.name!r} {obstacle}")
            chosen[entry.name] = entry
    return list(chosen.values())


def _obstacle(entry: Metric, sources: int, reference: bool) -> str | None:
    if entry.sources == "pair" and sources != 2:
        return f"is defined for two sources, not {sources}: leave it out"
    if entry.needs_reference and not reference:
        return "compares with a ground-truth image: give a reference or leave it out"
    return None


def list_metrics() -> list[str]:
    """The names of all metrics, in natural order (``q_2`` before ``q_10``).

    Example:
        >>> set(PAPER) <= set(list_metrics())
        True
    """
    return list(METRICS.names())
