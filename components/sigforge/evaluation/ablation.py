"""The paper's ablation table with ours beside it: Markdown, CSV and one HTML page.

Wang et al., "SigFusion", AAAI 2026, Table 2, as printed. Ours are means over other images, so only what a row loses
against its own Default compares; some printed numbers are the same in both tasks. ``python -m
sigforge.evaluation.ablation FOLDER`` makes the tables of the ``rows.json`` that flow ``ablate`` has left there.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.core.escape import csv_text
from sigforge.core.files import write_atomic
from sigforge.evaluation.result_tables import SIMULATED_DATA
from sigforge.evaluation.table_formats import (
    UNDEFINED,
    PrintedCell,
    PrintedGrid,
    PrintedHead,
    PrintedTable,
    to_html,
    to_markdown,
)
from sigforge.metrics import Metric, get_metric
from sigforge.metrics.registry import PAPER as METRICS

ROWS = "rows.json"
DEFAULT = "Default"
FAILED = "failed"
CSV_COLUMNS = ("task", "data", "pairs", "row", "parameters", "metric", "ours", "paper", "error")

IMAGES = {"vif": "TNO", "mfif": "Lytro"}
"""What the paper measured on; its numbers for the other tasks are in a supplement that is not public."""

PAPER: dict[str, dict[str, tuple[float, ...]]] = {
    "vif": {
        "w/o-all SM": (0.4018, 0.6173, 0.2568, 2.4025, 28.345, 0.4751),
        "w/o-high SM": (0.4368, 0.7125, 0.3653, 2.6872, 35.294, 0.5520),
        "w/o-low SM": (0.4111, 0.7204, 0.3453, 2.6584, 33.158, 0.5970),
        "w/o-EWT": (0.4230, 0.7652, 0.3258, 2.6796, 29.876, 0.5166),
        "Trans→CNN": (0.4592, 0.7582, 0.2742, 2.6814, 37.621, 0.5795),
        "EWT→DWT": (0.4237, 0.7331, 0.3834, 2.6920, 36.912, 0.6211),
        "w/o-Pretrained": (0.4781, 0.7844, 0.3732, 2.7018, 31.427, 0.4783),
        "w/o-PLGN": (0.4823, 0.7436, 0.3122, 2.6757, 38.791, 0.5523),
        DEFAULT: (0.5516, 0.8794, 0.3936, 3.2423, 39.422, 0.7904),
    },
    "mfif": {
        "w/o-all SM": (0.4018, 0.6173, 0.6088, 4.7025, 41.896, 0.9751),
        "w/o-high SM": (0.4268, 0.7344, 0.6953, 5.6872, 52.319, 1.1977),
        "w/o-low SM": (0.4118, 0.7284, 0.6553, 5.5441, 47.628, 1.0297),
        "w/o-EWT": (0.4237, 0.7331, 0.7134, 5.6920, 55.472, 1.0211),
        "Trans→CNN": (0.5592, 0.6982, 0.7042, 5.6814, 50.234, 1.0795),
        "EWT→DWT": (0.5830, 0.7652, 0.8058, 6.0796, 43.571, 1.1166),
        "w/o-Pretrained": (0.5781, 0.7344, 0.7132, 5.7018, 48.930, 1.0783),
        "w/o-PLGN": (0.5823, 0.7036, 0.7022, 5.6757, 57.204, 1.0523),
        DEFAULT: (0.6631, 1.2306, 0.8285, 6.9870, 58.763, 1.3105),
    },
}
"""Task to row to Q_G, Q_M, Q_P, MI, SD and the paper's "VIFF" (``vif_sum``)."""

Means = Mapping[str, float | None]


@dataclass(frozen=True)
class Ablation:
    """One row.

    Attributes:
        ours, paper: metric to mean; empty where it was not measured, None where it is undefined.
        error: why it was not measured; empty if it was.
    """

    name: str
    overrides: Mapping[str, object]
    ours: Means
    paper: Means
    error: str = ""

    @property
    def changed(self) -> str:
        """What differs from params.yaml."""
        return ", ".join(f"{key}={json.dumps(value).strip(chr(34))}" for key, value in self.overrides.items())

    def cell(self, metric: str, *, paper: bool = False) -> str:
        """A mean as it is printed."""
        if self.error and not paper:
            return FAILED
        return paper_number((self.paper if paper else self.ours).get(metric, ""))


@dataclass(frozen=True)
class AblationTable:
    """All rows of a task; ``pairs`` were fused for every one of them."""

    task: str
    pairs: int
    simulated: bool
    rows: Sequence[Ablation]

    @property
    def caption(self) -> str:
        """What the numbers are means of."""
        mark = f" ({SIMULATED_DATA})" if self.simulated else ""
        source = f"Table 2, {IMAGES[self.task]}" if self.task in IMAGES else "not printed for this task"
        return f"{self.task}, ablations. Ours: means over {self.pairs} test pairs{mark}. Paper: {source}"

    def below_default(self, row: Ablation, *, paper: bool = False) -> str:
        """In how many of the comparable metrics a row is worse than Default: ``5/6``; empty where there is none."""
        values, default = ((one.paper if paper else one.ours) for one in (row, self._default))
        worse = []
        for metric in self._metrics:
            mean, usual = values.get(metric.name), default.get(metric.name)
            if mean is not None and usual is not None:
                worse.append(mean < usual if metric.higher_is_better else mean > usual)
        return f"{sum(worse)}/{len(worse)}" if worse and row is not self._default else ""

    def printed(self) -> PrintedTable:
        """For :mod:`~sigforge.evaluation.table_formats`: the paper's numbers are quoted, failures told below."""
        columns = [head for one in self._metrics for head in (f"{one.symbol} {one.arrow} ours", f"{one.symbol} paper")]
        heads = ["row", "parameters", *columns, "below Default: ours", "paper"]
        grid = PrintedGrid([PrintedHead(head) for head in heads], [self._cells(row) for row in self.rows], names=2)
        failures = [f"{row.name} failed: {row.error}" for row in self.rows if row.error]
        return PrintedTable(f"Ablations: {self.task}", self.caption, [grid], failures)

    def _cells(self, row: Ablation) -> list[PrintedCell]:
        cells = [PrintedCell(row.name), PrintedCell(row.changed)]
        for name in METRICS:
            cells += [PrintedCell(row.cell(name)), PrintedCell(row.cell(name, paper=True), "quoted")]
        worse = PrintedCell(self.below_default(row)), PrintedCell(self.below_default(row, paper=True), "quoted")
        return [*cells, *worse]

    @property
    def _metrics(self) -> list[Metric]:
        return [get_metric(name) for name in METRICS]

    @property
    def _default(self) -> Ablation:
        return next((row for row in self.rows if row.name == DEFAULT), Ablation(DEFAULT, {}, {}, {}))


def paper_number(value: float | str | None) -> str:
    """A mean with the paper's digits; text stays.

    Example:
        >>> paper_number(0.40184), paper_number(28.3452), paper_number(None), paper_number("")
        ('0.4018', '28.345', 'n/a', '')
    """
    if isinstance(value, str):
        return value
    return UNDEFINED if value is None else f"{value:.{4 if abs(value) < 10 else 3}f}"


def read_ablation(path: Path) -> AblationTable:
    """What flow ``ablate`` measured, with the paper's numbers.

    Raises:
        UserError: no such file, or not one of the flow's.
    """
    try:
        found = json.loads(path.read_text())
        task, printed = found["task"], PAPER.get(found["task"], {})
        rows = [
            Ablation(
                row["row"],
                row["overrides"],
                {name: value for name, value in row["means"].items() if name in METRICS},
                dict(zip(METRICS, printed.get(row["row"], ()), strict=False)),
                row["error"],
            )
            for row in found["rows"]
        ]
        return AblationTable(task, max((row["pairs"] for row in found["rows"]), default=0), found["simulated"], rows)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run 'python -m flows.ablate --task {path.parent.name}'") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not written by flow ablate; delete it and run the flow again") from None


def csv_of_ablation(table: AblationTable) -> str:
    """One line per row and metric, six significant digits."""
    data = SIMULATED_DATA if table.simulated else "real"
    lines: list[tuple[object, ...]] = [CSV_COLUMNS]
    for row in table.rows:
        for name in METRICS:
            values = (values.get(name) for values in (row.ours, row.paper))
            numbers = ("" if value is None else f"{value:.6g}" for value in values)
            lines.append((table.task, data, table.pairs, row.name, row.changed, name, *numbers, row.error))
    return csv_text(lines)


def write_tables(folder: Path) -> list[Path]:
    """``table.md``, ``table.csv`` and ``table.html`` beside the ``rows.json`` of a folder."""
    table = read_ablation(folder / ROWS)
    texts = {"md": to_markdown(table.printed()), "csv": csv_of_ablation(table), "html": to_html(table.printed())}
    for suffix, text in texts.items():
        write_atomic(folder / f"table.{suffix}", text)
    return [folder / f"table.{suffix}" for suffix in texts]


def main(arguments: list[str] | None = None) -> int:
    """``FOLDER``; exit code 2 and one line on a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m sigforge.evaluation.ablation", description=write_tables.__doc__)
    parser.add_argument("folder", type=Path)
    try:
        print(write_tables(parser.parse_args(arguments).folder)[0])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
