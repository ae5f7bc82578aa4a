"""Stage ``few_shot``: does a network that first saw our synthetic pairs fuse better after a few real ones?

The head alone is trained twice on the same few real pairs at equal steps, once with synthetic pairs before; both are
scored on the test pairs. Nothing is done where ``few_shot.counts`` is empty.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sigforge.core.colour import luma
from sigforge.core.files import atomic_path, write_atomic
from sigforge.core.parquet import write_parquet
from sigforge.core.progress import progress
from sigforge.core.subsets import spread
from sigforge.dataset.tables import Pair, read_pairs
from sigforge.evaluation.few_shot import (
    ARMS,
    FewShotPlan,
    FewShotValue,
    few_shot,
    few_shot_gains,
    few_shot_markdown,
)
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import ShardPairs
from sigforge.stages._base import StageContext, main
from sigforge.stages._trained import training_pairs
from sigforge.training.planes import PlaneCache

SIDE = 256
"""Test pairs are scored on at most this much of their middle; Q_P alone takes a second on it."""


def run(context: StageContext) -> None:
    """Train and score both arms for every count of real pairs."""
    config, task, folder = context.params.few_shot, context.task, context.folder()
    folder.mkdir(parents=True, exist_ok=True)
    values: list[FewShotValue] = []
    if config.counts:
        plan = FewShotPlan(**config.model_dump(exclude={"tests"}))
        values = measured(context, plan)
        gains = few_shot_gains(values)
        text = few_shot_markdown(task, gains, plan)
        write_atomic(folder / "few_shot.md", text)
        context.ledger.file(folder / "few_shot.md", "tables")
        for gain in gains:
            context.ledger.value(f"few_shot_{gain.count}_{gain.metric}", gain.synthetic - gain.none)
    write_values(values, folder / "values.parquet")


def measured(context: StageContext, plan: FewShotPlan) -> list[FewShotValue]:
    """Scores of all networks.

    Args:
        context: of the stage.
        plan: how the test is done.
    """
    pairs, cache = read_pairs(context.folder("ingest") / "pairs.parquet"), PlaneCache()
    tests = spread([pair for pair in pairs if pair.split == "test"], context.params.few_shot.tests)
    shards = ShardPairs(context.folder("synth"))
    for shard in shards_in(context.folder("synth")):
        context.ledger.dataset(shard.table.stem, shard.table)
    real = _Planes(training_pairs(pairs, context.task), cache)
    with progress(context.name, len(plan.counts) * plan.seeds * len(ARMS)) as bar:
        return list(
            few_shot(
                context.task,
                _Synthetic(shards),
                real,
                [middle(planes) for planes in _Planes(tests, cache)],
                plan,
                seed=context.params.seed,
                advance=lambda note: bar.advance(note=note),
            )
        )


class _Planes(Sequence[np.ndarray]):
    """Lumas (2, H, W) of real pairs, read when asked for."""

    def __init__(self, pairs: Sequence[Pair], cache: PlaneCache) -> None:
        self.pairs, self.cache = pairs, cache

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        pair = self.pairs[index]
        return np.stack([self.cache(pair.a_path), self.cache(pair.b_path)])


class _Synthetic(Sequence[np.ndarray]):
    """Lumas (2, H, W) of synthetic pairs."""

    def __init__(self, shards: ShardPairs) -> None:
        self.shards = shards

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, index: Any) -> Any:
        return np.stack([luma(image) for image in self.shards[index]])


def middle(planes: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The middle of planes (n, H, W), at most ``side`` along each side."""
    top, left = (max(0, length - side) // 2 for length in planes.shape[1:])
    return planes[:, top : top + side, left : left + side]


def write_values(values: Sequence[FewShotValue], path: Path) -> None:
    """All scores as Parquet; a table without rows where nothing was asked for."""
    types = {"count": pa.int64(), "arm": pa.string(), "seed": pa.int64(), "pair": pa.int64(), "metric": pa.string()}
    schema = pa.schema([*types.items(), ("value", pa.float64())])
    with atomic_path(path) as temporary:
        write_parquet(pa.Table.from_pylist([asdict(value) for value in values], schema=schema), temporary)


if __name__ == "__main__":
    sys.exit(main("few_shot", run, sections=("few_shot", "compute")))
