"""A picture of what every method makes of a few pairs: a wrong port shows."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import PIL.Image
import PIL.ImageDraw

from sigforge.core.images import read_image, to_uint8
from sigforge.dataset.corpus import image_path
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import modalities

TILE, COLUMNS, GAP, LINE = 300, 7, 4, 12


def contact_sheet(pairs: Sequence[Pair], folder: Path, methods: Iterable[str]) -> PIL.Image.Image:
    """Sources and every method's picture of some pairs, named, one block of rows per pair.

    Args:
        folder: holds a folder of fused images per method.
    """
    blocks = []
    for pair in pairs:
        names = modalities(pair.task, pair.subtask)
        paths = dict(zip(names, (pair.a_path, pair.b_path), strict=True))
        blocks.append(grid(paths | {name: image_path(folder / name, pair.pair_id) for name in methods}))
    sheet = PIL.Image.new("RGB", (max(b.width for b in blocks), sum(b.height for b in blocks)), "white")
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return sheet


def grid(paths: Mapping[str, Path | str]) -> PIL.Image.Image:
    """Named images in rows of :data:`COLUMNS`."""
    tiles = []
    for path in paths.values():
        image = PIL.Image.fromarray(to_uint8(read_image(path)[0])).convert("RGB")
        image.thumbnail((TILE, TILE), PIL.Image.Resampling.LANCZOS)
        tiles.append(image)
    height = max(tile.height for tile in tiles) + LINE + GAP
    block = PIL.Image.new("RGB", (COLUMNS * (TILE + GAP), -(-len(tiles) // COLUMNS) * height + 2 * GAP), "white")
    draw = PIL.ImageDraw.Draw(block)
    for n, (name, tile) in enumerate(zip(paths, tiles, strict=True)):
        corner = (n % COLUMNS * (TILE + GAP), n // COLUMNS * height)
        draw.text(corner, name, fill="black")
        block.paste(tile, (corner[0], corner[1] + LINE))
    return block
