"""Result tables: means and standard deviations of every method on the test pairs of a task, and of its subtasks."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sigforge.core.escape import csv_text
from sigforge.evaluation.both import both_ranks
from sigforge.evaluation.references import copies, is_reference, references_last
from sigforge.evaluation.score_rows import ScoreRow
from sigforge.evaluation.table_formats import (
    BOTH_HEAD,
    UNDEFINED,
    Mark,
    PrintedCell,
    PrintedGrid,
    PrintedHead,
    PrintedTable,
)
from sigforge.metrics import Metric

SIMULATED_DATA = "simulated demo data"
OUR_LABEL = "SigFusion"
MARKS: tuple[Mark, ...] = ("", "best", "second")
"""By rank."""

CSV_COLUMNS = ("task", "subtask", "data", "pairs", "method", "metric", "mean", "deviation", "rank")


@dataclass(frozen=True)
class TableCell:
    """One method under one metric.

    Attributes:
        mean, deviation: mean and standard deviation over the pairs; NaN where the metric is undefined on one of them.
        text, spread: both as they are printed.
        rank: 1 best, 2 second, else 0; of printed values, so equal prints share a rank. Copies and collage have none.
    """

    mean: float
    deviation: float
    text: str
    spread: str
    rank: int


@dataclass(frozen=True)
class TableRow:
    """One method; ``ours`` marks the network under test.

    Attributes:
        both: see :func:`sigforge.evaluation.both.both_ranks`; None where its metrics were not measured.
    """

    method: str
    ours: bool
    cells: tuple[TableCell, ...]
    both: float | None = None

    @property
    def reference(self) -> bool:
        """Whether this is no method but a copy of a source or the collage."""
        return is_reference(self.method)

    @property
    def label(self) -> str:
        """What readers see: our network's name as the paper spells it."""
        return OUR_LABEL if self.ours else self.method


@dataclass(frozen=True)
class ResultTable:
    """All methods of a task, then copies and collage.

    Attributes:
        subtask: empty for the table over all pairs.
        pairs: how many test pairs the means are over.
        simulated: that their images were never measured by a sensor.
    """

    task: str
    subtask: str
    pairs: int
    simulated: bool
    metrics: tuple[Metric, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def methods(self) -> list[TableRow]:
        """The rows that are methods."""
        return [row for row in self.rows if not row.reference]

    @property
    def has_both(self) -> bool:
        """Whether there is a column ``both``."""
        return any(row.both is not None for row in self.rows)

    @property
    def caption(self) -> str:
        """What the numbers are means of.

        Example:
            >>> ResultTable("mif", "mri-ct", 4, True, (), ()).caption
            'mif, mri-ct: means over 4 test pairs (simulated demo data)'
        """
        name = f"{self.task}, {self.subtask}" if self.subtask else self.task
        pairs = f"{self.pairs} test pair{'s' if self.pairs != 1 else ''}"
        return f"{name}: means over {pairs}" + (f" ({SIMULATED_DATA})" if self.simulated else "")

    def printed(self) -> PrintedTable:
        """For :mod:`~sigforge.evaluation.table_formats`: best and second are marked."""
        lead = [PrintedHead("method"), *([BOTH_HEAD] if self.has_both else [])]
        heads = [*lead, *map(PrintedHead.of_metric, self.metrics)]
        grid = PrintedGrid(heads, [_printed(row) for row in self.rows])
        return PrintedTable(f"Results: {self.task}", self.caption, [grid], self.notes)


def build_tables(
    task: str, values: Sequence[ScoreRow], metrics: Sequence[Metric], *, ours: str, simulated: bool = False
) -> list[ResultTable]:
    """The table over all pairs and, where there are several subtasks, one for each.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        values: the rows of ``metrics.parquet``.
        metrics: in the order of the columns.
        ours: the method listed last and marked; behind it copies and collage.
        simulated: the pairs are not real; the tables say so.
    """
    subtasks = sorted({row.subtask for row in values})
    parts = {"": values}
    if len(subtasks) > 1:
        parts |= {name: [row for row in values if row.subtask == name] for name in subtasks}
    return [_table(task, name, rows, metrics, ours, simulated) for name, rows in parts.items()]


def csv_of_results(tables: Iterable[ResultTable]) -> str:
    """One line per subtask (empty: all pairs), method and metric, with six significant digits."""
    return csv_text([CSV_COLUMNS, *(line for table in tables for line in _csv_lines(table))])


def _csv_lines(table: ResultTable) -> Iterator[tuple[object, ...]]:
    data = SIMULATED_DATA if table.simulated else "real"
    for row in table.rows:
        for metric, cell in zip(table.metrics, row.cells, strict=True):
            numbers = (f"{cell.mean:.6g}", f"{cell.deviation:.6g}", cell.rank or "")
            yield table.task, table.subtask, data, table.pairs, row.method, metric.name, *numbers
        if row.both is not None:
            yield table.task, table.subtask, data, table.pairs, row.method, "both", f"{row.both:.6g}", "", ""


def _printed(row: TableRow) -> list[PrintedCell]:
    both = [] if row.both is None else [PrintedCell(f"{row.both:.1f}")]
    cells = (PrintedCell(cell.text, MARKS[cell.rank]) for cell in row.cells)
    return [PrintedCell(row.label, "aside" if row.reference else ""), *both, *cells]


def _table(
    task: str, subtask: str, values: Sequence[ScoreRow], metrics: Sequence[Metric], ours: str, simulated: bool
) -> ResultTable:
    methods = references_last(sorted({row.method for row in values}, key=lambda name: (name == ours, name)))
    grouped: dict[tuple[str, str], list[float]] = {}
    for row in values:
        grouped.setdefault((row.method, row.metric), []).append(row.value)
    columns = [_column({name: grouped[name, metric.name] for name in methods}, metric) for metric in metrics]
    cells = dict(zip(methods, zip(*columns, strict=True), strict=True))
    means = {name: {m.name: cell.mean for m, cell in zip(metrics, row, strict=True)} for name, row in cells.items()}
    both = both_ranks(means)
    rows = (TableRow(method, method == ours, row, both.get(method)) for method, row in cells.items())
    pairs = len({row.pair_id for row in values})
    return ResultTable(task, subtask, pairs, simulated, tuple(metrics), tuple(rows), tuple(copies(means)))


def _column(values: Mapping[str, Sequence[float]], metric: Metric) -> list[TableCell]:
    means, deviations = ({name: float(of(found)) for name, found in values.items()} for of in (np.mean, np.std))
    finite = [mean for name, mean in means.items() if math.isfinite(mean) and not is_reference(name)]
    digits = 3 if max(map(abs, finite), default=0) < 10 else 2
    best = sorted({round(mean, digits) for mean in finite}, key=metric.compared, reverse=metric.higher_is_better)[:2]
    cells = []
    for name, mean in means.items():
        pair = (mean, deviations[name])
        text, spread = (f"{value:.{digits}f}" if math.isfinite(value) else UNDEFINED for value in pair)
        place = round(mean, digits) if math.isfinite(mean) and metric.judged and not is_reference(name) else None
        cells.append(TableCell(mean, deviations[name], text, spread, best.index(place) + 1 if place in best else 0))
    return cells
