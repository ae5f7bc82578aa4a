"""``sigforge realism`` of pairs: as pairs, and by what they bring a network that sees few real ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.markdown import Markdown
from rich.table import Table

from sigforge.cli.console import show
from sigforge.cli.realism import ImageReader, estimate_text
from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.images import read_image
from sigforge.core.progress import progress
from sigforge.core.subsets import spread
from sigforge.dataset.sources.folders import photo_folder
from sigforge.evaluation.few_shot import ARMS, FewShotPlan, few_shot, few_shot_gains, few_shot_markdown
from sigforge.evaluation.realism.by_modality import first_of_each_photograph
from sigforge.evaluation.realism.pair_compare import PAIR_COLUMNS, PairComparison, compare_pairs, shuffled_pairs
from sigforge.evaluation.realism.pair_statistics import LEAST_SIDE, measure_pairs
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import ShardPairs

TESTED, TEST_SIDE = 4, 256
"""Every so manieth real pair is a test pair, of which at most the middle of this side is scored."""


def show_pair_realism(
    real: tuple[Path, Path], synthetic: Path, before: Path | None, *, images: int, side: int, seed: int
) -> int:
    """Print how far the synthetic pairs in shards are from real ones, as pairs.

    Args:
        real: folders of the real sources a and b; pairs share a file stem.
        synthetic: folder of shards.
        before: photographs, which stand for pairs whose sources are one image.
        images: at most so many pairs of each set.
        side: of the square that is measured, pixels.
        seed: of halves and folds.

    Returns:
        1 if an image could not be used, else 0.

    Raises:
        UserError: a folder that is missing, holds no shard or too few pairs.
    """
    check_folders(*filter(None, (*real, synthetic, before)), shards=synthetic)
    reader = ImageReader(images, LEAST_SIDE)
    paths = _paired(*real, images)
    made = ShardPairs(synthetic)
    rows = spread(first_of_each_photograph(made), images)
    size = min(made[rows[0]][0].shape[:2])
    twice = None
    if before:
        twice = measure_pairs(((one, one) for one in reader.images(before, size=size)), side=side)
    loaded = [(read_image(a)[0], read_image(b)[0]) for a, b in paths]
    found = compare_pairs(
        measure_pairs(loaded, side=side, name=str(real[0])),
        measure_pairs((made[index] for index in rows), side=side, name=str(synthetic)),
        twice=twice,
        shuffled=measure_pairs(shuffled_pairs(lambda index: loaded[index], len(loaded)), side=side),
        seed=seed,
    )
    show(_pair_table(found))
    return 1 if reader.left_out else 0


def show_few_shot(
    task: str, real: tuple[Path, Path], synthetic: Path, *, counts: Sequence[int], steps: int, images: int, seed: int
) -> int:
    """Print what synthetic pairs bring a network that sees few real ones, at equal steps.

    Args:
        task: whose loss is trained.
        real: folders of the real sources a and b; every fourth pair is kept for the test.
        synthetic: folder of shards.
        counts: real pairs to train on.
        steps: of each network.
        images: at most so many pairs of each set.
        seed: of all draws.

    Returns:
        0, the exit code.

    Raises:
        UserError: a folder that is missing, holds no shard or too few pairs.
    """
    check_folders(*real, synthetic, shards=synthetic)
    paths = _paired(*real, images)
    loaded = [np.stack([luma(read_image(path)[0]) for path in both]) for both in paths]
    tests = [_middle(planes) for index, planes in enumerate(loaded) if index % TESTED == 0]
    trained = [planes for index, planes in enumerate(loaded) if index % TESTED]
    made = ShardPairs(synthetic)
    pairs = [np.stack([luma(image) for image in made[index]]) for index in spread(range(len(made)), images)]
    plan = FewShotPlan(counts=tuple(counts), steps=steps)
    with progress(f"few-shot {task}", len(counts) * plan.seeds * len(ARMS)) as bar:
        values = list(
            few_shot(task, pairs, trained, tests, plan, seed=seed, advance=lambda note: bar.advance(note=note))
        )
    show(Markdown(few_shot_markdown(task, few_shot_gains(values), plan)))
    return 0


def check_folders(*folders: Path, shards: Path) -> None:
    """Stop before anything is read if a folder cannot serve.

    Args:
        folders: that must be there.
        shards: that must hold some.

    Raises:
        UserError: naming the first that cannot.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder: correct the path")
    if not shards_in(shards):
        raise UserError(f"{shards}: holds no shards; pairs are compared from shards, 'sigforge synth' makes them")


def _middle(planes: np.ndarray) -> np.ndarray:
    top, left = (max(0, length - TEST_SIDE) // 2 for length in planes.shape[1:])
    return planes[:, top : top + TEST_SIDE, left : left + TEST_SIDE]


def _paired(a: Path, b: Path, most: int) -> list[tuple[Path, Path]]:
    """Files of two folders that share a stem."""
    found = [[Path(photo.path) for photo in photo_folder(folder, source="", licence="")] for folder in (a, b)]
    first, second = ({path.stem: path for path in paths} for paths in found)
    stems = sorted(first.keys() & second.keys())
    if not stems:
        raise UserError(f"{a}: shares no file stem with {b}; sources of a pair have one name in both folders")
    return [(first[stem], second[stem]) for stem in spread(stems, most)]


def _pair_table(found: PairComparison) -> Table:
    table = Table(title="synthetic pairs and real ones, as pairs", title_justify="left")
    table.add_column("mean over pairs")
    for name, count in found.pairs.items():
        table.add_column(f"{PAIR_COLUMNS[name]} ({count})", justify="right")
    table.add_column("real halves apart", justify="right")
    table.add_column("as near")
    for row in found.rows:
        values = [estimate_text(row.values[name]) for name in found.pairs]
        near = {None: "", True: "yes", False: "no"}[row.near]
        table.add_row(f"{row.label} {row.unit}".strip(), *values, "" if row.near is None else f"{row.halves:.3g}", near)
    return table
