"""What training on synthetic pairs first changes in each system's scores, with paired intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sigforge.evaluation.result_tables import SIMULATED_DATA
from sigforge.evaluation.score_rows import ScoreRow
from sigforge.evaluation.statistics import RESAMPLES, bootstrap_interval
from sigforge.evaluation.table_formats import UNDEFINED, Mark, PrintedCell, PrintedGrid, PrintedHead, PrintedTable
from sigforge.methods.systems.method import AFTER_SYNTHETIC
from sigforge.metrics import Metric

MARKS: dict[int, Mark] = {1: "best", -1: "worse", 0: ""}
"""By sign."""


@dataclass(frozen=True)
class MetricChange:
    """One metric of one system: means over the test pairs, and of the pairs' differences with the 95 % interval.

    Attributes:
        sign: 1 better, -1 worse, 0 where the interval holds zero or there is none.
    """

    before: float
    after: float
    low: float
    high: float
    sign: int

    @property
    def text(self) -> str:
        """``before → after``."""
        return f"{short_number(self.before)} → {short_number(self.after)}"

    @property
    def interval(self) -> str:
        """The difference's."""
        return f"{short_number(self.low, '+')} to {short_number(self.high, '+')}" if math.isfinite(self.low) else ""


@dataclass(frozen=True)
class GainTable:
    """All systems of a task that were trained both ways.

    Attributes:
        rows: system to its change under every metric.
    """

    task: str
    pairs: int
    simulated: bool
    metrics: tuple[Metric, ...]
    rows: Mapping[str, Sequence[MetricChange]]

    @property
    def caption(self) -> str:
        """What the numbers are."""
        mark = f" ({SIMULATED_DATA})" if self.simulated else ""
        distances = (f"; {m.symbol}: distance from {m.target:g}" for m in self.metrics if m.target is not None)
        return (
            f"{self.task}: trained on real pairs only → on synthetic pairs first; means over {self.pairs} test pairs"
            f"{mark}; in brackets the 95 % paired bootstrap interval of the difference ({RESAMPLES:,} resamples, "
            f"seed 0); better bold, worse in italics, where it does not hold zero{''.join(distances)}"
        )

    def printed(self) -> PrintedTable:
        """For :mod:`~sigforge.evaluation.table_formats`: better and worse are marked, with the interval."""
        heads = [PrintedHead("system"), *map(PrintedHead.of_metric, self.metrics)]
        rows = [
            [PrintedCell(name), *(PrintedCell(one.text, MARKS[one.sign], one.interval) for one in changes)]
            for name, changes in self.rows.items()
        ]
        return PrintedTable(f"Gain: {self.task}", self.caption, [PrintedGrid(heads, rows)])


def build_gain(task: str, values: Sequence[ScoreRow], metrics: Sequence[Metric], *, simulated: bool) -> GainTable:
    """The table of a task; without rows where no system was trained both ways.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        values: the rows of ``metrics.parquet``.
        metrics: in the order of the columns.
        simulated: the pairs are not real; the table says so.
    """
    scores = {(row.method, row.metric, row.pair_id): row.value for row in values}
    methods, pairs = {row.method for row in values}, sorted({row.pair_id for row in values})
    systems = sorted(name for name in methods if name + AFTER_SYNTHETIC in methods)

    def column(method: str, metric: str) -> np.ndarray:
        return np.array([scores[method, metric, pair] for pair in pairs])

    rows = {
        name: [change(column(name, m.name), column(name + AFTER_SYNTHETIC, m.name), m) for m in metrics]
        for name in systems
    }
    return GainTable(task, len(pairs), simulated, tuple(metrics), rows)


def change(before: np.ndarray, after: np.ndarray, metric: Metric) -> MetricChange:
    """What a change does to one metric on the same pairs; a pair on which either is undefined is left out.

    A metric whose best value is a target is compared by the distance from it.

    Args:
        before: (P,) values of the metric, one for each pair.
        after: (P,), in the same order.
        metric: gives the direction.

    Returns:
        both means, the 95 % paired bootstrap interval of the difference, and its sign: 1 better, -1 worse, 0 undecided.

    Example:
        >>> from sigforge.metrics import get_metric
        >>> values = np.linspace(0.4, 0.6, 20)
        >>> change(values, values + 0.1, get_metric("q_g")).sign
        1
    """
    defined = np.isfinite(before) & np.isfinite(after)
    before, after = metric.compared(before[defined]), metric.compared(after[defined])
    if not before.size:
        return MetricChange(math.nan, math.nan, math.nan, math.nan, 0)
    low, high = (float(bound[0]) for bound in bootstrap_interval((after - before)[:, None]))
    sign = 0 if not (low > 0 or high < 0) else 1 if (low > 0) == metric.higher_is_better else -1
    return MetricChange(float(before.mean()), float(after.mean()), low, high, sign)


def short_number(value: float, sign: str = "") -> str:
    """Three decimals below 10, two above.

    Example:
        >>> short_number(0.5), short_number(12.345), short_number(-0.0123, "+")
        ('0.500', '12.35', '-0.012')
    """
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:{sign}.{3 if abs(value) < 10 else 2}f}"
