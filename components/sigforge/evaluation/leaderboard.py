"""The leaderboard: means of every method with intervals, ranks and a test of the best against the second."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from sigforge.evaluation.statistics import EXACT_PAIRS, RESAMPLES, ROUNDS, bootstrap_interval, permutation_test
from sigforge.evaluation.table_formats import UNDEFINED, Mark, PrintedCell, PrintedGrid, PrintedHead, PrintedTable
from sigforge.metrics import Metric

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
        place: 1 best, 2 second, else 0; of printed means.
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
        ranks: of every method, 1 best; equal prints share their mean rank, undefined ones the last.
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
    """All methods, best mean rank first.

    Attributes:
        ranks: mean over the metrics of each method's rank.
        pairs: that every method has.
        notes: what a reader of the numbers has to know, a line each.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    columns: tuple[BoardColumn, ...]
    pairs: int
    notes: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """What the numbers are."""
        pairs = f"{self.pairs} pair{'s' if self.pairs != 1 else ''}"
        if self.pairs < 2:
            return f"means over {pairs}; best bold, second underlined; rank: mean over the metrics"
        count = f"all 2^{self.pairs} signs" if self.pairs <= EXACT_PAIRS else f"{ROUNDS:,} random signs"
        return (
            f"means over {pairs}, in brackets their 95 % paired bootstrap intervals ({RESAMPLES:,} resamples, seed 0); "
            "best bold, second underlined; rank: mean over the metrics; "
            f"p: paired permutation test, two-sided, {count}, uncorrected"
        )

    def printed(self) -> PrintedTable:
        """For :mod:`~sigforge.evaluation.table_formats`; ranks stand in the first grid, tests below a rule."""
        starts = range(0, len(self.columns), WIDEST)
        grids = [self._grid(self.columns[start : start + WIDEST], ranked=start == 0) for start in starts]
        return PrintedTable("Leaderboard", self.caption, grids, self.notes)

    def _grid(self, columns: Sequence[BoardColumn], *, ranked: bool) -> PrintedGrid:
        heads = [PrintedHead("method"), *([PrintedHead("rank")] if ranked else [])]
        heads += [PrintedHead.of_metric(column.metric, column.symbol) for column in columns]
        rows = []
        for m, (method, rank) in enumerate(zip(self.methods, self.ranks, strict=True)):
            cells = (column.cells[m] for column in columns)
            shown = (PrintedCell(cell.text, MARKS[cell.place], cell.interval) for cell in cells)
            rows.append([PrintedCell(method), *([PrintedCell(f"{rank:.1f}")] if ranked else []), *shown])
        tests = (PrintedCell(column.p_text) for column in columns)
        return PrintedGrid(heads, rows, [[PrintedCell(TEST_LABEL), *([PrintedCell("")] if ranked else []), *tests]])


def build_leaderboard(
    values: np.ndarray, methods: Sequence[str], metrics: Sequence[Metric], *, notes: Sequence[str] = ()
) -> Leaderboard:
    """Means, intervals, places, ranks and tests.

    A metric that is not finite on a pair for one of the methods is averaged without that pair, which the notes say. A
    method for which it never is finite is left out of the column. A metric whose best value is a target is shown and
    compared by the distance from it. Of several variants of one metric, the rank counts one.

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
    columns = [build_column(values[:, :, k], metric) for k, metric in enumerate(metrics)]
    counted = _one_per_family(columns)
    ranks = np.mean([column.ranks for column in counted], axis=0).tolist()
    order = sorted(range(len(methods)), key=lambda m: (ranks[m], methods[m]))
    sorted_names, sorted_ranks = (tuple(entries[m] for m in order) for entries in (methods, ranks))
    notes = (*notes, *_distances(columns), *_uncounted(columns, counted), *_where_undefined(columns, len(values)))
    return Leaderboard(sorted_names, sorted_ranks, tuple(_arranged(columns, order)), len(values), notes)


def build_column(values: np.ndarray, metric: Metric) -> BoardColumn:
    """The column of one metric; ``values`` is (P, M)."""
    values = metric.compared(values)
    finite = np.isfinite(values)
    used = np.flatnonzero(finite.any(axis=0))
    kept = values[np.ix_(finite[:, used].all(axis=1), used)]
    means, low, high = np.full((3, values.shape[1]), np.nan)
    p = math.nan
    if kept.size:
        means[used] = kept.mean(axis=0)
        low[used], high[used] = bootstrap_interval(kept)
        best = np.argsort(-means[used] if metric.higher_is_better else means[used], kind="stable")
        if min(kept.shape) > 1:
            p = permutation_test(*kept[:, best[:2]].T)
    digits = _digits(means)
    ranks, places = _ranks(means.round(digits), metric.higher_is_better)
    cells = (_cell(*numbers, digits) for numbers in zip(means, low, high, places, strict=True))
    pairs = len(kept) if used.size else 0
    return BoardColumn(metric, metric.symbol, pairs, tuple(cells), tuple(ranks.tolist()), p)


def _arranged(columns: Sequence[BoardColumn], order: Sequence[int]) -> Iterator[BoardColumn]:
    """The columns with methods in this order, and with symbols that tell variants of one metric apart."""
    count = Counter(column.symbol for column in columns)
    for column in columns:
        symbol = column.symbol if count[column.symbol] == 1 else f"{column.symbol} ({column.metric.name})"
        cells, ranks = (tuple(entries[m] for m in order) for entries in (column.cells, column.ranks))
        yield dataclasses.replace(column, symbol=symbol, cells=cells, ranks=ranks)


def _one_per_family(columns: Sequence[BoardColumn]) -> list[BoardColumn]:
    """The columns that ranks are averaged over: of variants the one that the others name, else the first shown."""
    families: dict[str, BoardColumn] = {}
    for column in columns:
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
        yield f"rank: one variant of each metric counts, {len(names)} of {len(columns)}; not {', '.join(others)}"


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
