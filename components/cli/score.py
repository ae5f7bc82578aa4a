"""``sigforge score``."""

import csv as csv_format
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from components.cli.console import show
from components.cli.inputs import Job, match, report_left_out, require_same_size
from components.colour import luma
from components.errors import ImageError, UserError
from components.files import write_atomic
from components.images import read_image
from components.manifest import Quarantined
from components.metrics import PAPER, get_metric, score
from components.progress import progress
from components.report.tables import build_tables
from components.runner import run_units


@dataclass(frozen=True)
class Unit:
    """One pair and its fused image by every method."""

    job: Job
    fused: dict[str, str]


def score_inputs(a: Path, b: Path, fused: Sequence[Path], *, metrics: str, csv: Path | None, workers: int) -> int:
    """Score fused files or folders against their sources; print the means, and write every value to ``csv``.

    Raises:
        UserError: a wrong path or metric, or nothing to score.
    """
    names = parse_metrics(metrics)
    units, left_out = plan_units(a, b, fused)
    rows: list[dict] = []
    report_left_out(left_out)
    with progress("score", len(units)) as bar:
        for result in run_units(partial(score_unit, metrics=names), units, workers=workers):
            if isinstance(result, Quarantined):
                report_left_out([result])
                left_out.append(result)
            else:
                rows += result
            bar.advance()
    if not rows:
        raise UserError("no pair could be scored: mend the images named above")
    rows.sort(key=lambda row: row["pair_id"])
    show(mean_table(rows, names))
    if csv:
        write_atomic(csv, comma_separated(rows, names))
    return 1 if left_out else 0


def parse_metrics(text: str) -> tuple[str, ...]:
    """Names of metrics, separated by commas; ``paper`` stands for the six of the paper's tables.

    Raises:
        UserError: an unknown name.

    Example:
        >>> parse_metrics("sd,paper")
        ('sd', 'q_g', 'q_m', 'q_p', 'mi', 'vif_sum')
    """
    given = [name.strip() for name in text.split(",")]
    names = dict.fromkeys(name for part in given for name in (PAPER if part == "paper" else (part,)))
    return tuple(get_metric(name).name for name in names)


def plan_units(a: Path, b: Path, fused: Sequence[Path]) -> tuple[list[Unit], list[Quarantined]]:
    """The pairs that every method has fused, so that all means are over the same images; and what is left out."""
    jobs, left_out = match(a, b)
    paths: dict[str, dict[str, str]] = {}
    for path, label in zip(fused, _labels(fused), strict=True):
        found, without = match(a, path)
        paths[label] = {job.name: job.b for job in found} if a.is_dir() else {jobs[0].name: str(path)}
        left_out += without
    complete = [job for job in jobs if all(job.name in by_name for by_name in paths.values())]
    if not complete:
        raise UserError(f"{', '.join(map(str, fused))}: no pair has a fused image in each: name them as their sources")
    units = [Unit(job, {label: by_name[job.name] for label, by_name in paths.items()}) for job in complete]
    return units, list({item.path: item for item in left_out}.values())


def score_unit(unit: Unit, *, metrics: Sequence[str]) -> list[dict] | Quarantined:
    """A row per method and metric, or why the pair cannot be scored; on luma of the 8-bit images."""
    rows = []
    try:
        a, b = (read_image(path)[0] for path in (unit.job.a, unit.job.b))
        require_same_size((unit.job.a, a), (unit.job.b, b))
        for method, path in unit.fused.items():
            image = read_image(path)[0]
            require_same_size((unit.job.a, a), (path, image))
            values = score(*map(_batch, (image, a, b)), metrics=metrics)
            facts = {"pair_id": unit.job.name, "subtask": "", "method": method}
            rows += [facts | {"metric": name, "value": float(value)} for name, value in values.items()]
    except ImageError as error:
        return Quarantined(error.path, "score", error.reason, error.detail)
    return rows


def mean_table(rows: Sequence[dict], metrics: Sequence[str]) -> Table:
    """Means per method, the best of each metric bold, with arrows that say which way is better."""
    means = build_tables("", rows, metrics, ours="")[0]
    table = Table(title=f"means over {means.pairs} pair{'s' if means.pairs != 1 else ''}")
    table.add_column("method")
    for metric in means.metrics:
        table.add_column(f"{metric.symbol} {metric.arrow}", justify="right")
    for row in means.rows:
        table.add_row(row.method, *(Text(cell.text, "bold" if cell.rank == 1 else "") for cell in row.cells))
    return table


def comma_separated(rows: Sequence[dict], metrics: Sequence[str]) -> str:
    """A line per pair and method with one column per metric, sorted."""
    lines: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        lines.setdefault((row["pair_id"], row["method"]), {})[row["metric"]] = row["value"]
    text = io.StringIO()
    writer = csv_format.writer(text, lineterminator="\n")
    writer.writerow(("pair", "method", *metrics))
    writer.writerows((*key, *(f"{values[name]:.6g}" for name in metrics)) for key, values in sorted(lines.items()))
    return text.getvalue()


def _labels(paths: Sequence[Path]) -> list[str]:
    """A method is called by its folder or file; by the whole path where two would be called the same."""
    names = [path.resolve().name if path.is_dir() else path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(luma(image), dtype=np.float32))[None, None]
