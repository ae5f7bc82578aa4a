"""The leaderboard: means of every method with intervals, ranks and a test of the best against the second."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from sigforge.evaluation.both import both_ranks
from sigforge.evaluation.references import copies, is_reference, references_last
from sigforge.evaluation.statistics import EXACT_PAIRS, RESAMPLES, ROUNDS, bootstrap_interval, permutation_test
from sigforge.evaluation.table_formats import (
    BOTH_HEAD,
    UNDEFINED,
    Mark,
    PrintedCell,
    PrintedGrid,
    PrintedHead,
    PrintedTable,
)
from sigforge.metrics import BOTH, Metric

WIDEST = 8
"""Metrics side by side; more go into further grids."""

TEST_LABEL = "p, best against second"
MARKS: tuple[Mark, ...] = ("", "best", "second")
"""By place."""


@dataclass(frozen=True)
class BoardCell:
    """One method under one metric.

    Attributes:
        mean, low, high: over the column's pairs, with the 95 % interval; NaN where there is none.
        text, interval: both as they are printed; the interval is empty for a single pair.
        place: 1 best, 2 second, else 0; of printed means. Copies and collage have none.
    """

    mean: float
    low: float
    high: float
    text: str
    interval: str
    place: int


@dataclass(frozen=True)
class BoardColumn:
    """One metric: a cell per method, over the pairs where it is defined for all of them.

    Attributes:
        symbol: of the metric, with its name where another column has the same symbol.
        ranks: of every method, 1 best; equal prints share their mean rank, undefined ones the last. NaN for copies and
            collage.
        p: of best against second; NaN for a single method or pair.
    """

    metric: Metric
    symbol: str
    pairs: int
    cells: tuple[BoardCell, ...]
    ranks: tuple[float, ...]
    p: float

    @property
    def p_text(self) -> str:
        """``p`` as it is printed."""
        return "–" if math.isnan(self.p) else "<0.001" if self.p < 0.001 else f"{self.p:.3f}"


@dataclass(frozen=True)
class Leaderboard:
    """All methods, best mean rank first, then copies and collage.

    Attributes:
        ranks: mean over the metrics of each method's rank; NaN for copies and collage.
        both: :func:`sigforge.evaluation.both.both_ranks` of every row; empty where its metrics are not shown.
        pairs: that every method has.
        notes: what a reader of the numbers has to know, a line each.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    columns: tuple[BoardColumn, ...]
    pairs: int
    notes: tuple[str, ...] = ()
    both: tuple[float, ...] = ()

    @property
    def lead_heads(self) -> list[PrintedHead]:
        """Heads of what stands before the metrics."""
        return [PrintedHead("rank"), *([BOTH_HEAD] if self.both else [])]

    def lead(self, row: int) -> list[str]:
        """What stands before the metrics in a row, as it is printed."""
        rank = self.ranks[row]
        both = [f"{self.both[row]:.1f}"] if self.both else []
        return ["–" if math.isnan(rank) else f"{rank:.1f}", *both]

    @property
    def caption(self) -> str:
        """What the numbers are."""
        pairs = f"means over {self.pairs} pair{'s' if self.pairs != 1 else ''}"
        ranks = "best bold, second underlined; rank: mean over the metrics"
        if self.both:
            ranks += f"; both: quadratic mean of the ranks by {', '.join(BOTH)}"
        if any(map(is_reference, self.methods)):
            ranks += "; copies and collage take no place and no rank"
        if self.pairs < 2:
            return f"{pairs}; {ranks}"
        count = f"all 2^{self.pairs} signs" if self.pairs <= EXACT_PAIRS else f"{ROUNDS:,} random signs"
        return (
            f"{pairs}, in brackets their 95 % paired bootstrap intervals ({RESAMPLES:,} resamples, seed 0); {ranks}; "
            f"p: paired permutation test, two-sided, {count}, uncorrected"
        )

    def printed(self) -> PrintedTable:
        """For :mod:`~sigforge.evaluation.table_formats`; ranks stand in the first grid, tests below a rule."""
        starts = range(0, len(self.columns), WIDEST)
        grids = [self._grid(self.columns[start : start + WIDEST], ranked=start == 0) for start in starts]
        return PrintedTable("Leaderboard", self.caption, grids, self.notes)

    def _grid(self, columns: Sequence[BoardColumn], *, ranked: bool) -> PrintedGrid:
        lead = self.lead_heads if ranked else []
        heads = [PrintedHead("method"), *lead]
        heads += [PrintedHead.of_metric(column.metric, column.symbol) for column in columns]
        rows = []
        for m, method in enumerate(self.methods):
            cells = (column.cells[m] for column in columns)
            shown = (PrintedCell(cell.text, MARKS[cell.place], cell.interval) for cell in cells)
            before = map(PrintedCell, self.lead(m) if ranked else [])
            rows.append([PrintedCell(method, "aside" if is_reference(method) else ""), *before, *shown])
        tests = (PrintedCell(column.p_text) for column in columns)
        return PrintedGrid(heads, rows, [[PrintedCell(TEST_LABEL), *(PrintedCell("") for _ in lead), *tests]])


def build_leaderboard(
    values: np.ndarray, methods: Sequence[str], metrics: Sequence[Metric], *, notes: Sequence[str] = ()
) -> Leaderboard:
    """Means, intervals, places, ranks and tests.

    A metric that is not finite on a pair for one of the methods is averaged without that pair, which the notes say. A
    method for which it never is finite is left out of the column. A metric whose best value is a target is shown and
    compared by the distance from it. Of several variants of one metric, the rank counts one.

    Copies and the collage are told by their names and stand last: they take no place and no rank, and a pair on which
    a metric is undefined for one of them alone still counts for the methods.

    Args:
        values: (P, M, K) scores on pairs that every method has, P >= 1.
        methods: M names.
        metrics: K of them.
        notes: lines to stand under the table.

    Example:
        >>> from sigforge.metrics import get_metric
        >>> values = np.array([[[0.5], [0.7]], [[0.4], [0.6]]])
        >>> board = build_leaderboard(values, ["mean", "gff"], [get_metric("q_g")])
        >>> board.methods, board.ranks, [cell.text for cell in board.columns[0].cells]
        (('gff', 'mean'), (1.0, 2.0), ['0.650', '0.450'])
    """
    ranked = np.array([not is_reference(method) for method in methods])
    columns = [build_column(values[:, :, k], metric, ranked) for k, metric in enumerate(metrics)]
    counted = _one_per_family(columns)
    ranks = dict(zip(methods, np.mean([column.ranks for column in counted], axis=0).tolist(), strict=True))
    names = references_last(sorted(methods, key=lambda name: (ranks[name], name)))
    means = {name: {c.metric.name: c.cells[m].mean for c in columns} for m, name in enumerate(methods)}
    both = both_ranks(means)
    notes = (*notes, *copies(means), *_distances(columns), *_uncounted(columns, counted))
    return Leaderboard(
        tuple(names),
        tuple(ranks[name] for name in names),
        tuple(_arranged(columns, [methods.index(name) for name in names])),
        len(values),
        (*notes, *_where_undefined(columns, len(values))),
        tuple(both[name] for name in names if both),
    )


def build_column(values: np.ndarray, metric: Metric, ranked: np.ndarray) -> BoardColumn:
    """The column of one metric.

    Args:
        values: (P, M).
        metric: what they are values of.
        ranked: (M,) true for methods, false for copies and collage.
    """
    values = metric.compared(values)
    finite = np.isfinite(values)
    used = np.flatnonzero(finite.any(axis=0) & ranked)
    rows = finite[:, used].all(axis=1) & bool(used.size)
    shown = np.flatnonzero(finite[rows].all(axis=0) & rows.any())
    means, low, high = np.full((3, values.shape[1]), np.nan)
    if shown.size:
        means[shown] = values[np.ix_(rows, shown)].mean(axis=0)
        low[shown], high[shown] = bootstrap_interval(values[np.ix_(rows, shown)])
    digits, ranks, places = _digits(means[ranked]), np.full(len(means), np.nan), np.zeros(len(means), int)
    ranks[ranked], found = _ranks(means[ranked].round(digits), metric.higher_is_better)
    if metric.judged:
        places[ranked] = found
    cells = (_cell(*numbers, digits) for numbers in zip(means, low, high, places, strict=True))
    p = _p_of_first(values[np.ix_(rows, used)], metric.higher_is_better)
    return BoardColumn(metric, metric.symbol, int(rows.sum()), tuple(cells), tuple(ranks.tolist()), p)


def _p_of_first(kept: np.ndarray, higher_is_better: bool) -> float:
    """Test of the best method against the second, (P, M) values of methods; NaN for a single method or pair."""
    if min(kept.shape) < 2:
        return math.nan
    means = kept.mean(axis=0)
    best = np.argsort(-means if higher_is_better else means, kind="stable")
    return permutation_test(*kept[:, best[:2]].T)


def _arranged(columns: Sequence[BoardColumn], order: Sequence[int]) -> Iterator[BoardColumn]:
    """The columns with methods in this order, and with symbols that tell variants of one metric apart."""
    count = Counter(column.symbol for column in columns)
    for column in columns:
        symbol = column.symbol if count[column.symbol] == 1 else f"{column.symbol} ({column.metric.name})"
        cells, ranks = tuple(column.cells[m] for m in order), tuple(column.ranks[m] for m in order)
        yield dataclasses.replace(column, symbol=symbol, cells=cells, ranks=ranks)


def _one_per_family(columns: Sequence[BoardColumn]) -> list[BoardColumn]:
    """The columns that ranks are averaged over: of variants the one that the others name, else the first shown.

    Parts of metrics do not count, unless nothing else is shown.
    """
    families: dict[str, BoardColumn] = {}
    for column in [column for column in columns if column.metric.ranked] or columns:
        name = column.metric.variant_of or column.metric.name
        if name not in families or column.metric.name == name:
            families[name] = column
    return list(families.values())


def _distances(columns: Sequence[BoardColumn]) -> Iterator[str]:
    for metric in (column.metric for column in columns if column.metric.target is not None):
        yield f"{metric.name} is shown as its distance from {metric.target:g}, its best value"


def _uncounted(columns: Sequence[BoardColumn], counted: Sequence[BoardColumn]) -> Iterator[str]:
    names = {column.metric.name for column in counted}
    if others := [column.metric.name for column in columns if column.metric.name not in names]:
        parts = " and no part" if any(not column.metric.ranked for column in columns) else ""
        yield f"rank: one variant of each metric counts{parts}, {len(names)} of {len(columns)}; not {', '.join(others)}"


def _where_undefined(columns: Sequence[BoardColumn], pairs: int) -> list[str]:
    fewer = [column for column in columns if column.pairs < pairs]
    return [
        f"{c.metric.name} is over the {c.pairs} of {pairs} pairs where no method shown lacks a value" for c in fewer
    ]


def _cell(mean: float, low: float, high: float, place: int, digits: int) -> BoardCell:
    text = f"{mean:z.{digits}f}" if math.isfinite(mean) else UNDEFINED
    interval = f"{low:z.{digits}f}, {high:z.{digits}f}" if math.isfinite(low) else ""
    return BoardCell(float(mean), float(low), float(high), text, interval, int(place))


def _digits(means: np.ndarray) -> int:
    """Decimals: three below 10 and two above, or what shows two digits of the methods' spread; six at most."""
    finite = means[np.isfinite(means)]
    if not finite.size:
        return 0
    largest, spread = np.abs(finite).max(), np.ptp(finite)
    scale = spread if spread > 0 else largest
    wanted = 1 - math.floor(math.log10(scale)) if scale > 0 else 0
    return min(6, max(3 if largest < 10 else 2, wanted))


def _ranks(means: np.ndarray, higher_is_better: bool) -> tuple[np.ndarray, list[int]]:
    """Mean ranks from 1, undefined last; and places, 1 or 2 of distinct values, else 0."""
    keys = np.where(np.isfinite(means), -means if higher_is_better else means, np.inf)
    first = sorted(set(keys[np.isfinite(keys)]))[:2]
    return rankdata(keys), [first.index(key) + 1 if key in first else 0 for key in keys]
