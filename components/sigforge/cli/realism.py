"""``sigforge realism``."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
from rich.table import Table

from sigforge.cli.console import show
from sigforge.cli.inputs import report_left_out, report_notes
from sigforge.core.errors import ImageError, UserError
from sigforge.core.images import read_image
from sigforge.core.subsets import spread
from sigforge.dataset.sources.folders import photo_folder
from sigforge.evaluation.realism.by_modality import first_of_each_photograph
from sigforge.evaluation.realism.compare import COLUMNS, RealismComparison, compare
from sigforge.evaluation.realism.image_statistics import measure_images
from sigforge.evaluation.realism.two_sample import IntervalEstimate
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import ShardPairs
from sigforge.synthesis.synthesizer import fit_square


def show_realism(
    real: Path, synthetic: Path, before: Path | None, *, member: str, images: int, side: int, seed: int
) -> int:
    """Print how far synthetic images are from real ones, and photographs where a folder of them is given.

    Photographs are shrunk and cut as synthesis does it, to the size of the synthetic images.

    Args:
        real: folder of real images of one modality.
        synthetic: folder of synthetic images, or of shards.
        before: folder of photographs, or None.
        member: ``a`` or ``b``, which image of the pairs in shards.
        images: at most so many of each are measured.
        side: of the crops, pixels; smaller images are left out.
        seed: of halves and folds.

    Returns:
        1 if an image could not be used, else 0.

    Raises:
        UserError: a folder that is missing or holds too few images.
    """
    for folder in filter(None, (real, synthetic, before)):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder: correct the path")
    report_notes(real, *([before] if before else []), deep=True)
    reader = ImageReader(images, side)
    made = reader.shard_images(synthetic, member) if shards_in(synthetic) else reader.images(synthetic)
    first = list(islice(made, 1))
    after = measure_images(chain(first, made), side=side, name=str(synthetic))
    natural = None
    if before:
        natural = measure_images(reader.images(before, size=min(first[0].shape[:2])), side=side, name=str(before))
    found = compare(measure_images(reader.images(real), side=side, name=str(real)), natural, after, seed=seed)
    show(_table(found))
    return 1 if reader.left_out else 0


class ImageReader:
    """Reads at most so many images of a folder; names and counts those it leaves out."""

    def __init__(self, most: int, side: int) -> None:
        self.most, self.side, self.left_out = most, side, 0

    def images(self, folder: Path, *, size: int | None = None) -> Iterator[np.ndarray]:
        """Those of a folder, cut to a square of ``size`` if given."""
        for photo in spread(photo_folder(folder, source="", licence=""), self.most):
            try:
                image = read_image(photo.path, min_side=size or self.side)[0]
            except ImageError as error:
                self.left_out += 1
                report_left_out([error])
                continue
            yield fit_square(image, size) if size else image

    def shard_images(self, folder: Path, member: str) -> Iterator[np.ndarray]:
        """One side of the pairs in shards, one pair per photograph."""
        pairs = ShardPairs(folder)
        for index in spread(first_of_each_photograph(pairs), self.most):
            yield pairs[index]["ab".index(member)]


def _table(found: RealismComparison) -> Table:
    counts = ", ".join(f"{count} {COLUMNS[name]}" for name, count in found.images.items())
    table = Table(title=f"distance from real images ({counts}; crops of {found.side} pixels)", title_justify="left")
    table.add_column("distance")
    table.add_column("unit")
    for name in found.images:
        table.add_column("real, two halves" if name == "real" else COLUMNS[name], justify="right")
    for row in found.summary:
        table.add_row(row.label, row.unit, *map(estimate_text, filter(None, (row.real, row.before, row.after))))
    slopes = [f"{slope:.2f}" for slope in found.slopes.values()]
    table.add_row("exponent of the spectrum itself", "", *slopes)
    return table


def estimate_text(estimate: IntervalEstimate) -> str:
    """A number with its interval, if it has one."""
    if np.isnan(estimate.high):
        return f"{estimate.value:.3g}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
