"""How near the synthetic pairs of a task are to real ones, for the page and as a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sigforge.core.files import atomic_path
from sigforge.core.images import read_image
from sigforge.core.parquet import write_parquet
from sigforge.core.subsets import spread
from sigforge.dataset.tables import Pair
from sigforge.evaluation.realism.pair_compare import (
    LEAST_PAIRS,
    PAIR_COLUMNS,
    PairComparison,
    compare_pairs,
    shuffled_pairs,
)
from sigforge.evaluation.realism.pair_statistics import SIDE, PairStatistics, measure_pairs
from sigforge.shards.pairs import ShardPairs

PAIR_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("subtask", pa.string()),
        ("measure", pa.string()),
        ("unit", pa.string()),
        ("set", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("halves", pa.float64()),
        ("pairs", pa.int64()),
    ]
)


@dataclass(frozen=True)
class TaskPairRealism:
    """What was found of the kinds of pair of a task.

    Attributes:
        found: by subtask.
        left_out: sentences that say which subtask could not be compared, and why.
    """

    found: Mapping[str, PairComparison]
    left_out: Sequence[str]


def task_pair_realism(
    pairs: Sequence[Pair],
    shards: ShardPairs,
    photograph: Callable[[dict], np.ndarray],
    *,
    most: int,
    seed: int,
    side: int = SIDE,
) -> TaskPairRealism:
    """Compare the synthetic pairs in shards with the real ones that nothing was trained on.

    Args:
        pairs: real ones; those of the splits val and test are used.
        shards: the synthetic ones.
        photograph: the photograph of a row of the shards, as synthesis cut it.
        most: at most so many of every set, evenly spread.
        seed: of halves and folds.
        side: of the square that is measured, pixels.
    """
    found, left_out = {}, []
    held_out = [pair for pair in pairs if pair.split != "train"]
    for subtask in dict.fromkeys(pair.subtask for pair in held_out):
        real = spread([pair for pair in held_out if pair.subtask == subtask], most)
        rows = spread([index for index in range(len(shards)) if shards.row(index)["subtask"] == subtask], most)
        if min(len(real), len(rows)) < LEAST_PAIRS:
            counts = f"{len(real)} held-out and {len(rows)} synthetic pairs"
            left_out.append(f"{subtask} has {counts}; at least {LEAST_PAIRS} of each are needed.")
            continue
        originals = (photograph(shards.row(index)) for index in rows)
        found[subtask] = compare_pairs(
            measure_pairs(map(read_pair, real), side=side),
            measure_pairs((shards[index] for index in rows), side=side),
            twice=measure_pairs(((image, image) for image in originals), side=side),
            shuffled=shuffled_statistics(real, side=side),
            seed=seed,
        )
    return TaskPairRealism(found, left_out)


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Both sources of a pair of the manifest."""
    a, b = (read_image(path)[0] for path in (pair.a_path, pair.b_path))
    return a, b


def shuffled_statistics(pairs: Sequence[Pair], *, side: int = SIDE) -> PairStatistics:
    """Of real sources with the partners of other pairs."""
    return measure_pairs(shuffled_pairs(lambda index: read_pair(pairs[index]), len(pairs)), side=side)


def pair_caption(a: np.ndarray, b: np.ndarray) -> str:
    """What the gallery says under a synthetic pair.

    Args:
        a, b: registered images, (H, W) or (H, W, 3) in [0, 1].

    Example:
        >>> image = np.random.default_rng(0).random((64, 64))
        >>> pair_caption(image, image)
        'correlation 1.00, of gradients 1.00; a wins 50 % of strong gradients'
    """
    one = measure_pairs([(a, b)])
    both = f"correlation {one.correlation[0]:.2f}, of gradients {one.gradient_correlation[0]:.2f}"
    return f"{both}; a wins {one.strong_share[0]:.0%} of strong gradients".replace("%", " %")


def write_pair_realism(path: Path, tasks: Mapping[str, TaskPairRealism]) -> None:
    """Write every measure of every kind of pair, single subbands included, as Parquet."""
    rows = [row for task, part in tasks.items() for row in _table_rows(task, part)]
    with atomic_path(path) as temporary:
        write_parquet(pa.Table.from_pylist(rows, schema=PAIR_SCHEMA), temporary)


def _table_rows(task: str, part: TaskPairRealism) -> Iterator[dict]:
    for subtask, one in part.found.items():
        for row in one.rows:
            for column, estimate in row.values.items():
                yield {
                    "task": task,
                    "subtask": subtask,
                    "measure": row.measure,
                    "unit": row.unit,
                    "set": PAIR_COLUMNS[column],
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "halves": row.halves,
                    "pairs": one.pairs[column],
                }
