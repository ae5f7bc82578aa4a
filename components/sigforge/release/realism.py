"""Realism of a release's images, as rows of its card's table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import SIMULATED
from sigforge.evaluation.realism.by_modality import compare_modalities
from sigforge.evaluation.realism.compare import RealismRow
from sigforge.evaluation.realism.two_sample import IntervalEstimate
from sigforge.shards.pairs import ShardPairs


@dataclass(frozen=True)
class RealismTable:
    """What a card says of realism.

    Attributes:
        rows: of a table, by modality: measure, real, photographs, synthetic.
        against: a sentence on the real images.
        left_out: sentences on modalities that could not be measured.
    """

    rows: Mapping[str, Sequence[Sequence[str]]]
    against: str
    left_out: Sequence[str] = ()


def realism_rows(
    task: str,
    real: Sequence[Pair],
    pairs: ShardPairs,
    photograph: Callable[[dict], np.ndarray],
    *,
    images: int,
    side: int,
    seed: int,
) -> RealismTable:
    """Measure photographs and synthetic images against held-out real ones.

    Args:
        task: of the pairs.
        real: the manifest of real pairs.
        pairs: of the release.
        photograph: of a row, as synthesis cut it.
        images: at most so many of every set.
        side: of the crops that are measured, pixels.
        seed: of halves and folds.
    """
    found, left_out = compare_modalities(task, real, pairs, photograph, images=images, side=side, seed=seed)
    rows = {name: [_cells(row) for row in one.summary] for name, one in found.items()}
    sources = sorted({pair.source for pair in real if pair.split != "train"})
    return RealismTable(rows, _against(sources), left_out)


def _against(sources: Sequence[str]) -> str:
    if sources == [SIMULATED]:
        return "No real images were at hand: simulated ones stand in for them, so the numbers say little."
    return f"The real images are pairs of {', '.join(sources)} on which nothing was trained."


def _cells(row: RealismRow) -> list[str]:
    return [f"{row.label} ({row.unit})", *(_number(value) for value in (row.real, row.before, row.after))]


def _number(value: IntervalEstimate | None) -> str:
    return "" if value is None else f"{value.value:.3g}"
