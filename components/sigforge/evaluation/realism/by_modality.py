"""Realism of a task's synthetic images: which real ones, photographs and samples are compared, by modality."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from sigforge.core.images import read_image
from sigforge.core.subsets import spread
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import all_modalities, modalities
from sigforge.evaluation.realism.compare import LEAST, RealismComparison, compare
from sigforge.evaluation.realism.image_statistics import ImageStatistics, measure_images
from sigforge.shards.pairs import ShardPairs


def compare_modalities(
    task: str,
    pairs: Sequence[Pair],
    shards: ShardPairs,
    photograph: Callable[[dict], np.ndarray],
    *,
    images: int,
    side: int,
    seed: int,
) -> tuple[dict[str, RealismComparison], list[str]]:
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

    Returns:
        What was found, by modality, and sentences that say which one could not be compared, and why.
    """
    held_out = [pair for pair in pairs if pair.split != "train"]
    side = min(side, *shards[0][0].shape[:2], *(length for pair in held_out for length in (pair.height, pair.width)))
    rows = first_of_each_photograph(shards)

    @cache
    def photographs(indices: tuple[int, ...]) -> ImageStatistics:
        return measure_images((photograph(shards.row(index)) for index in indices), side=side)

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
            measure_images((read_image(path)[0] for path in real), side=side),
            photographs(indices),
            measure_images(synthetic, side=side),
            seed=seed,
        )
    return found, left_out


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
