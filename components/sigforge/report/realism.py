"""How near the synthetic images of a task are to real ones, for the page and as a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sigforge.core.files import atomic_path
from sigforge.core.parquet import write_parquet
from sigforge.dataset.tables import Pair
from sigforge.evaluation.realism.by_modality import compare_modalities
from sigforge.evaluation.realism.compare import COLUMNS, RealismComparison
from sigforge.report.figures import spectra_figure
from sigforge.shards.pairs import ShardPairs

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("modality", pa.string()),
        ("measure", pa.string()),
        ("unit", pa.string()),
        ("set", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("images", pa.int64()),
        ("real_images", pa.int64()),
        ("side", pa.int64()),
    ]
)


@dataclass(frozen=True)
class TaskRealism:
    """What was found of the modalities of a task.

    Attributes:
        found: by modality.
        left_out: sentences that say which modality could not be compared, and why.
        svg: the power spectra; empty if nothing could be compared.
    """

    found: Mapping[str, RealismComparison]
    left_out: Sequence[str]
    svg: str


def task_realism(
    task: str,
    pairs: Sequence[Pair],
    shards: ShardPairs,
    photograph: Callable[[dict], np.ndarray],
    *,
    images: int,
    side: int,
    seed: int,
    target: str = "real",
) -> TaskRealism:
    """Compare the synthetic images in shards with the real ones that nothing was trained on.

    Real images are cut at their own scale, for that is how networks meet them; synthetic images come from photographs
    that were shrunk to ``synth.size`` before.

    Args:
        task: one of the four.
        pairs: real ones; those of the splits val and test are used, equal images once.
        shards: at most one pair of every photograph is used.
        photograph: the photograph of a row of the shards, as synthesis cut it.
        images: at most so many of every set, evenly spread.
        side: of the crops that are measured; smaller where an image is.
        seed: of halves and folds.
        target: what the figure calls the real images, for they may be simulated.
    """
    found, left_out = compare_modalities(task, pairs, shards, photograph, images=images, side=side, seed=seed)
    svg = spectra_figure(found, f"{task}-spectra", target=target) if found else ""
    return TaskRealism(found, left_out, svg)


def write_realism(path: Path, tasks: Mapping[str, TaskRealism]) -> None:
    """Write every measure of every modality, single subbands included, as Parquet."""
    rows = [
        {
            "task": task,
            "modality": modality,
            "measure": row.measure,
            "unit": row.unit,
            "set": COLUMNS[column],
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "images": one.images[column],
            "real_images": one.images["real"],
            "side": one.side,
        }
        for task, part in tasks.items()
        for modality, one in part.found.items()
        for row in one.rows
        for column, estimate in zip(COLUMNS, (row.real, row.before, row.after), strict=True)
        if estimate is not None
    ]
    with atomic_path(path) as temporary:
        write_parquet(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)
