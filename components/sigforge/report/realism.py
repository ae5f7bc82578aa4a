"""How near the synthetic images of a task are to real ones, for the page and as a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigforge.core.files import atomic_path
from sigforge.core.images import read_image
from sigforge.core.subsets import spread
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import all_modalities, modalities
from sigforge.evaluation.realism.compare import COLUMNS, LEAST, RealismComparison, compare
from sigforge.evaluation.realism.image_statistics import ImageStatistics, measure
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
    held_out = [pair for pair in pairs if pair.split != "train"]
    side = min(side, *shards[0][0].shape[:2], *(length for pair in held_out for length in (pair.height, pair.width)))
    rows = first_of_each_photograph(shards)

    @cache
    def photographs(indices: tuple[int, ...]) -> ImageStatistics:
        return measure((photograph(shards.row(index)) for index in indices), side=side)

    found, left_out = {}, []
    for modality in all_modalities(task):
        real = spread(real_paths(held_out, modality), images)
        indices = spread([index for index in rows if modality in _names(task, shards, index)], images)
        if min(len(real), len(indices)) < LEAST:
            counts = f"{len(real)} held-out and {len(indices)} synthetic images"
            left_out.append(f"{modality} has {counts}; at least {LEAST} of each are needed.")
            continue
        synthetic = (shards[index][_names(task, shards, index).index(modality)] for index in indices)
        found[modality] = compare(
            measure((read_image(path)[0] for path in real), side=side),
            photographs(indices),
            measure(synthetic, side=side),
            seed=seed,
        )
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
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)


def real_paths(pairs: Sequence[Pair], modality: str) -> list[str]:
    """Files of the images of one modality, each content once: the same MR slice may have two partners."""
    paths = {
        digest: path
        for pair in pairs
        for name, path, digest in zip(
            modalities(pair.task, pair.subtask),
            (pair.a_path, pair.b_path),
            (pair.a_sha256, pair.b_sha256),
            strict=True,
        )
        if name == modality
    }
    return list(paths.values())


def first_of_each_photograph(shards: ShardPairs) -> list[int]:
    """Positions in the shards of one pair per photograph, so that no two are alike by their origin."""
    places: dict[str, int] = {}
    for index in range(len(shards)):
        places.setdefault(shards.row(index)["photo_id"], index)
    return list(places.values())


def _names(task: str, shards: ShardPairs, index: int) -> tuple[str, str]:
    return modalities(task, shards.row(index)["subtask"])
