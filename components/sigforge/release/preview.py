"""The picture of a release: some of its pairs, beside the photographs they were made of."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from sigforge.core.subsets import spread
from sigforge.dataset.tasks import modalities
from sigforge.release.card import NAMES
from sigforge.release.contents import ReleaseContents
from sigforge.shards.pairs import ShardPairs

ROWS, TILE, GAP = 5, 192, 4


def preview(
    pairs: ShardPairs, contents: ReleaseContents, photograph: Callable[[dict], np.ndarray] | None = None
) -> tuple[list[str], np.ndarray]:
    """What the columns show, and the picture.

    Args:
        pairs: of the release.
        contents: of the same.
        photograph: of a row, as synthesis cut it; without it pairs stand alone.

    Returns:
        Names, left to right, and (H, W, 3) in [0, 1].
    """
    lines = []
    for index in spread(range(len(pairs)), ROWS):
        images = [*([photograph(pairs.row(index))] if photograph else []), *pairs[index]]
        lines.append(_line([_tile(image) for image in images]))
    space = np.ones((GAP, lines[0].shape[1], 3), np.float32)
    stacked = [part for line in lines for part in (line, space)][:-1]
    return [*(["photograph"] if photograph else []), *_names(contents)], np.concatenate(stacked)


def _names(contents: ReleaseContents) -> list[str]:
    """Modalities of a and b; of several sub-tasks, all of them."""
    task = contents.shards[0].path.tar.name.split("-")[0]
    sides = zip(*(modalities(task, subtask) for subtask in contents.subtasks), strict=True)
    return [" or ".join(dict.fromkeys(NAMES[name] for name in names)) for names in sides]


def _line(tiles: Sequence[np.ndarray]) -> np.ndarray:
    space = np.ones((tiles[0].shape[0], GAP, 3), np.float32)
    return np.concatenate([part for tile in tiles for part in (tile, space)][:-1], axis=1)


def _tile(image: np.ndarray) -> np.ndarray:
    colour = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    small = colour.shape[0] <= TILE
    return colour if small else cv2.resize(colour, (TILE, TILE), interpolation=cv2.INTER_AREA)
