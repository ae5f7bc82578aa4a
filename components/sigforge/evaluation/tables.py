"""Result tables: one set of means per task and subtask, printed as Markdown, CSV, LaTeX and HTML cells."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sigforge.metrics import Metric, get_metric

SIMULATED_DATA = "simulated demo data"
OUR_LABEL = "SigFusion"
UNDEFINED = "n/a"
CSV_COLUMNS = ("task", "subtask", "data", "pairs", "method", "metric", "mean", "deviation", "rank")


@dataclass(frozen=True)
class TableCell:
    """One method under one metric.

    Attributes:
        mean, deviation: mean and standard deviation over the pairs; NaN where the metric is undefined on one of them.
        text, spread: both as they are printed.
        rank: 1 best, 2 second, else 0; of printed values, so equal prints share a rank.
    """

    mean: float
    deviation: float
    text: str
    spread: str
    rank: int


@dataclass(frozen=True)
class TableRow:
    """One method; ``ours`` marks the network under test."""

    method: str
    ours: bool
    cells: tuple[TableCell, ...]

    @property
    def label(self) -> str:
        """What readers see: our network's name as the paper spells it."""
        return OUR_LABEL if self.ours else self.method


@dataclass(frozen=True)
class Table:
    """All methods of a task; ``subtask`` is empty for the table over all pairs."""

    task: str
    subtask: str
    pairs: int
    metrics: tuple[Metric, ...]
    rows: tuple[TableRow, ...]


def build_tables(task: str, values: Sequence[dict], metrics: Sequence[str], *, ours: str) -> list[Table]:
    """The table over all pairs and, where there are several subtasks, one for each.

    Args:
        values: rows ``pair_id, subtask, method, metric, value`` of ``metrics.parquet``.
        metrics: names, in the order of the columns.
        ours: the method listed last and marked.
    """
    subtasks = sorted({row["subtask"] for row in values})
    parts = {"": values}
    if len(subtasks) > 1:
        parts |= {name: [row for row in values if row["subtask"] == name] for name in subtasks}
    return [_table(task, name, rows, metrics, ours) for name, rows in parts.items()]


def markdown(tables: Iterable[Table], *, simulated: bool) -> str:
    """Tables as GitHub Markdown: best bold, second underlined."""
    return "\n".join(_markdown(table, simulated) for table in tables)


def latex(tables: Iterable[Table], *, simulated: bool) -> str:
    r"""Tables for ``\usepackage{booktabs}``: best bold, second underlined."""
    return "\n".join(_latex(table, simulated) for table in tables)


def comma_separated(tables: Iterable[Table], *, simulated: bool) -> str:
    """One line per subtask (empty: all pairs), method and metric, with six significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in tables:
        for row in table.rows:
            for metric, cell in zip(table.metrics, row.cells, strict=True):
                numbers = (f"{cell.mean:.6g}", f"{cell.deviation:.6g}", cell.rank or "")
                data = SIMULATED_DATA if simulated else "real"
                writer.writerow((table.task, table.subtask, data, table.pairs, row.method, metric.name, *numbers))
    return text.getvalue()


def caption(table: Table, simulated: bool) -> str:
    """What a table's numbers are means of.

    Example:
        >>> caption(Table("mif", "mri-ct", 4, (), ()), simulated=True)
        'mif, mri-ct: means over 4 test pairs (simulated demo data)'
    """
    name = f"{table.task}, {table.subtask}" if table.subtask else table.task
    pairs = f"{table.pairs} test pair{'s' if table.pairs != 1 else ''}"
    return f"{name}: means over {pairs}" + (f" ({SIMULATED_DATA})" if simulated else "")


def _table(task: str, subtask: str, values: Sequence[dict], metrics: Sequence[str], ours: str) -> Table:
    methods = sorted({row["method"] for row in values}, key=lambda name: (name == ours, name))
    grouped: dict[tuple[str, str], list[float]] = {}
    for row in values:
        grouped.setdefault((row["method"], row["metric"]), []).append(row["value"])
    columns = [_column([grouped[method, name] for method in methods], get_metric(name)) for name in metrics]
    cells = zip(*columns, strict=True)
    rows = (TableRow(method, method == ours, row) for method, row in zip(methods, cells, strict=True))
    pairs = len({row["pair_id"] for row in values})
    return Table(task, subtask, pairs, tuple(get_metric(name) for name in metrics), tuple(rows))


def _column(values: Sequence[Sequence[float]], metric: Metric) -> list[TableCell]:
    means, deviations = ([float(of(entries)) for entries in values] for of in (np.mean, np.std))
    finite = [mean for mean in means if math.isfinite(mean)]
    digits = 3 if max(map(abs, finite), default=0) < 10 else 2
    best = sorted({round(mean, digits) for mean in finite}, key=metric.compared, reverse=metric.higher_is_better)[:2]
    cells = []
    for mean, deviation in zip(means, deviations, strict=True):
        texts = [f"{value:.{digits}f}" if math.isfinite(value) else UNDEFINED for value in (mean, deviation)]
        place = round(mean, digits) if math.isfinite(mean) else None
        cells.append(TableCell(mean, deviation, *texts, rank=best.index(place) + 1 if place in best else 0))
    return cells


def _markdown(table: Table, simulated: bool) -> str:
    heads = [f"{metric.symbol} {metric.arrow}" for metric in table.metrics]
    lines = [["method", *heads], ["---", *("---:" for _ in heads)]]
    for row in table.rows:
        cells = [{1: "**{}**", 2: "<ins>{}</ins>"}.get(cell.rank, "{}").format(cell.text) for cell in row.cells]
        lines.append([row.label, *cells])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{caption(table, simulated)}**\n\n{body}\n"


def _latex(table: Table, simulated: bool) -> str:
    heads = [_latex_head(metric) for metric in table.metrics]
    lines = [" & ".join(["Method", *heads]) + r" \\", r"\midrule"]
    for row in table.rows:
        cells = [{1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.rank, "%s") % cell.text for cell in row.cells]
        lines.append(" & ".join([row.label.replace("_", r"\_"), *cells]) + r" \\")
    columns = "l" + "r" * len(heads)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption(table, simulated)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_head(metric: Metric) -> str:
    symbol = f"${metric.symbol}$" if "_" in metric.symbol else metric.symbol
    return f"{symbol}~{metric.latex_arrow}"
