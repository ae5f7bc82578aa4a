"""Photographs that need no network and no files: tiles of the pictures inside the scikit-image wheel.

Only pictures whose scikit-image docstring states CC0 or public domain become tiles; origin, author and licence are
taken from there. ``motorcycle`` (Middlebury 2014) is left to the simulated scenes: its owners grant use and publication
and ask to be cited, but name no licence, so nothing here claims that it may be redistributed as training data.

Distinct tiles (each overlaps its neighbours by at most about half, near-constant ones are dropped):

====  ==========  =========
size  no overlap  in all
====  ==========  =========
   96  81          257
 128  46          139
 192  18          40
 256  9           16
====  ==========  =========
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import skimage.data
from numpy.typing import NDArray

from sigforge.core.errors import UserError

CC0_URL = "https://creativecommons.org/publicdomain/zero/1.0/"
# A tile is near-constant when fewer of its pixels than this have a luma gradient above 4 codes per pixel. Measured at
# 96 and 128 px: the dawn sky of `rocket` stays below 0.025, everything with an object in it lies above 0.035.
MIN_EDGE_SHARE = 0.03


@dataclass(frozen=True)
class Origin:
    """Where a base photograph comes from and what may be done with it."""

    licence: str
    licence_url: str
    author: str
    allows_derivatives: bool = True
    allows_commercial: bool = True


ORIGINS = {
    "astronaut": Origin("public domain", "https://flic.kr/p/r9qvLn", "NASA"),
    "camera": Origin("CC0-1.0", CC0_URL, "Lav Varshney"),
    "chelsea": Origin("CC0-1.0", CC0_URL, "Stefan van der Walt"),
    "coffee": Origin("CC0-1.0", CC0_URL, "Rachel Michetti"),
    "motorcycle": Origin(
        "Middlebury 2014: use and publication granted, citation asked",
        "https://vision.middlebury.edu/stereo/data/",
        "Scharstein, Hirschmueller, Kitajima, Krathwohl, Nesic, Wang, Westling",
        allows_derivatives=False,
        allows_commercial=False,
    ),
    "rocket": Origin("public domain", "https://www.flickr.com/photos/spacexphotos/16511594820/", "SpaceX"),
}
TILED = ("astronaut", "chelsea", "coffee", "rocket")


@dataclass(frozen=True)
class DemoPhoto:
    """One tile: ``image`` is uint8 (H, W, 3) RGB; the other fields are columns of the photograph table."""

    photo_id: str
    image: NDArray[np.uint8]
    source: str
    licence: str
    licence_url: str
    author: str
    allows_derivatives: bool
    allows_commercial: bool


@cache
def base_image(name: str) -> NDArray[np.uint8]:
    """The whole base photograph as read-only uint8 (H, W, 3) RGB; grey ones have three equal channels.

    Raises:
        UserError: no photograph of that name.
    Example:
        >>> base_image("coffee").shape
        (400, 600, 3)
    """
    if name not in ORIGINS:
        raise UserError(f"base photograph {name!r}: unknown; choose from {', '.join(ORIGINS)}")
    image = skimage.data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(skimage.data, name)()
    image = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else np.ascontiguousarray(image[..., :3])
    image.setflags(write=False)
    return image


def available(size: int) -> int:
    """How many distinct tiles of ``size`` x ``size`` pixels there are.

    Example:
        >>> available(128)
        139
    """
    return len(_tiles(size))


def photographs(count: int, size: int, seed: int) -> Iterator[DemoPhoto]:
    """Tiles of natural colour photographs, the least overlapping first, in an order drawn from ``seed``.

    The first n of a longer call are the n of a shorter one; a ``photo_id`` names the same pixels under every seed.

    Args:
        count: how many tiles, at most :func:`available`.
        size: side of a tile in pixels.
        seed: orders the tiles of equal overlap.
    Raises:
        UserError: a negative count, a size no photograph can give, or more tiles than there are.
    Example:
        >>> photo = next(photographs(1, 128, seed=0))
        >>> photo.image.shape, photo.image.dtype.name
        ((128, 128, 3), 'uint8')
    """
    tiles = _tiles(size)
    if not tiles:
        raise UserError(f"demo photographs, size: no tile of {size} px fits; choose 16 to 512")
    if not 0 <= count <= len(tiles):
        raise UserError(
            f"demo photographs, count: {count} asked for, 0 to {len(tiles)} tiles of {size} px exist; "
            "ask for fewer or smaller ones"
        )
    shuffled = np.random.default_rng(seed).permutation(len(tiles))
    order = sorted(shuffled, key=lambda i: tiles[i].overlap)
    return (_photo(tiles[i], size) for i in order[:count])


@dataclass(frozen=True)
class _Tile:
    base: str
    number: int
    top: int
    left: int
    overlap: int


@cache
def _tiles(size: int) -> tuple[_Tile, ...]:
    """Every usable tile of every base photograph, in lattice order."""
    return tuple(tile for base in TILED for tile in _lattice(base, size)) if size >= 16 else ()


def _lattice(base: str, size: int) -> Iterator[_Tile]:
    """Tiles that just do not overlap, and those that straddle two (overlap 2) or four (overlap 1) of them."""
    image = base_image(base)
    edges = np.hypot(*np.gradient(image @ np.array([0.299, 0.587, 0.114]))) > 4
    rows, columns = (_positions(length, size) for length in image.shape[:2])
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            if edges[top : top + size, left : left + size].mean() >= MIN_EDGE_SHARE:
                # Tiles around a corner do not overlap one another, those across an edge do: they come last.
                overlap = {(0, 0): 0, (1, 1): 1}.get((i % 2, j % 2), 2)
                yield _Tile(base, i * len(columns) + j, top, left, overlap)


def _positions(length: int, size: int) -> list[int]:
    """Starts of as many tiles as fit side by side, spread over the length, and the starts half-way between them."""
    fitting = length // size
    return np.linspace(0, length - size, 2 * fitting - 1).round().astype(int).tolist() if fitting else []


def _photo(tile: _Tile, size: int) -> DemoPhoto:
    origin = ORIGINS[tile.base]
    image = base_image(tile.base)[tile.top : tile.top + size, tile.left : tile.left + size].copy()
    return DemoPhoto(
        photo_id=f"{tile.base}-{tile.number:02d}", image=image, source=f"scikit-image: {tile.base}", **vars(origin)
    )
