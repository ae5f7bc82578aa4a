"""What is measured of every pair, by itself."""

from dataclasses import dataclass

import numpy as np

from sigforge.core.colour import luma
from sigforge.core.errors import ImageError
from sigforge.core.files import sha256_bytes
from sigforge.core.images import decode_bytes, read_bytes
from sigforge.dataset.doubts import Source, doubts_about
from sigforge.dataset.hashes import phash
from sigforge.dataset.registration.shift import PairShift, estimate_shift
from sigforge.dataset.tables import Pair

BINS = 32
LOSSY = (b"\xff\xd8\xff",)
"""First bytes of JPEG, whose blocks are no news."""
_FLAT = 1 / 255
_BLOCK = 8


@dataclass(frozen=True)
class SideFacts:
    """One image of a pair.

    Attributes:
        sha256, phash: of the file, and of the picture.
        width, height, channels, bits: as the file has them.
        mean, spread: of the luma, in [0, 1].
        histogram: 32 parts that sum to 1.
        border: widest margin of one value, pixels.
        blocks: see :func:`blocks_of`.
        lossy: whether the file is a JPEG itself.
    """

    sha256: str
    phash: str
    width: int
    height: int
    channels: int
    bits: int
    mean: float
    spread: float
    histogram: tuple[float, ...]
    border: int
    blocks: float
    lossy: bool


@dataclass(frozen=True)
class PairFacts:
    """A pair, its two sides, how far they are apart, and what is odd about them.

    Attributes:
        pair: of the manifest.
        sides: of a and b; empty where a file cannot be read.
        shift: of the first against the second; None where sizes differ or a file cannot be read.
        doubts: reason and detail.
        unreadable: why a file cannot be read; empty if both can.
    """

    pair: Pair
    sides: tuple[SideFacts, ...]
    shift: PairShift | None
    doubts: tuple[tuple[str, str], ...]
    unreadable: str = ""


def measure_pair(pair: Pair) -> PairFacts:
    """Everything that one pair says by itself."""
    try:
        sources, sides = zip(*(_side(path) for path in (pair.a_path, pair.b_path)), strict=True)
    except ImageError as error:
        return PairFacts(pair, (), None, (), f"{error.path}: {error.reason}: {error.detail}")
    a, b = sources
    same_size = a.pixels.shape[:2] == b.pixels.shape[:2]
    shift = estimate_shift(b.pixels, a.pixels) if same_size else None
    doubts = tuple((doubt.reason, f"{doubt.path}: {doubt.detail}") for doubt in doubts_about(pair.task, a, b))
    return PairFacts(pair, sides, shift, doubts)


def border_of(grey: np.ndarray) -> int:
    """Width of the widest margin in which all pixels are equal, of four; 0 of an image that is constant altogether.

    Args:
        grey: (H, W) in [0, 1].

    Example:
        >>> image = np.pad(np.random.default_rng(0).random((8, 8)), ((3, 0), (0, 0)))
        >>> border_of(image)
        3
    """
    margins = []
    for lines in (grey, grey[::-1], grey.T, grey.T[::-1]):
        flat = np.abs(lines - lines[0, 0]).max(axis=1) < _FLAT
        margins.append(int(np.argmin(flat)) if not flat.all() else 0)
    return max(margins)


def blocks_of(grey: np.ndarray) -> float:
    """How much more often a step tops its neighbours at one of eight phases than at the next best; rows or columns.

    A picture that was a JPEG once has such steps at the borders of its 8 x 8 blocks, in both directions; so has one
    that was enlarged eightfold. The smaller of both directions counts.

    Args:
        grey: (H, W) in [0, 1].

    Example:
        >>> rng = np.random.default_rng(0)
        >>> blocks_of(rng.random((64, 64))) < 0.1 < blocks_of(np.kron(rng.random((8, 8)), np.ones((8, 8))))
        True
    """
    found = []
    for image in (grey, grey.T):
        steps = np.abs(np.diff(image, axis=1))
        tops = ((steps[:, 1:-1] > steps[:, :-2]) & (steps[:, 1:-1] > steps[:, 2:])).mean(axis=0)
        count = len(tops) // _BLOCK * _BLOCK
        if count < 2 * _BLOCK:
            return 0.0
        phases = np.sort(tops[:count].reshape(-1, _BLOCK).mean(axis=0))
        found.append(float(phases[-1] - phases[-2]))
    return min(found)


def _side(path: str) -> tuple[Source, SideFacts]:
    data = read_bytes(path)
    pixels, info = decode_bytes(data, path)
    grey = np.asarray(luma(pixels), np.float32)
    counts, _ = np.histogram(grey, bins=BINS, range=(0, 1))
    facts = SideFacts(
        sha256=sha256_bytes(data),
        phash=phash(pixels),
        width=info.width,
        height=info.height,
        channels=info.channels,
        bits=info.bit_depth,
        mean=float(grey.mean()),
        spread=float(grey.std()),
        histogram=tuple((counts / grey.size).tolist()),
        border=border_of(grey),
        blocks=blocks_of(grey),
        lossy=data.startswith(LOSSY),
    )
    return Source(path, pixels, info), facts
