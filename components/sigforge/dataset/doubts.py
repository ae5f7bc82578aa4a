"""Pairs that can be used but hardly mean what they seem to: said with the way out, since a number would not show it.

Reasons: ``few_levels``, ``dropped_channel``, ``coloured_first``, ``sources_swapped``, ``one_grey``, ``same_pixels``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sigforge.core.images import ImageInfo

RAW_RANGE = 0.25
"""Of 16 bits: 14-bit counts of a thermal camera never use more."""
IMAGE_SHARE = 0.5
"""Of the pixels, that alpha neither shows nor hides: from here on it is taken for a second image."""
TINTED = 4 / 255
"""Mean distance of the channels from each other: less is noise of a JPEG, not colour."""


BRIGHTER = 0.05
"""Mean level by which an under-exposed image does not exceed the over-exposed one of its pair."""


@dataclass(frozen=True)
class Source:
    """One source of a pair as it was read: its file, its pixels in [0, 1], and what the file held."""

    path: str
    pixels: np.ndarray
    info: ImageInfo


@dataclass(frozen=True)
class Doubt:
    """Something odd about a file, in one word and in a line with the way out."""

    path: str
    reason: str
    detail: str


def doubts_about(task: str | None, a: Source, b: Source) -> Iterator[Doubt]:
    """What is odd about a pair.

    Args:
        task: decides which source has colour; None where it is not known.
        a: first source.
        b: second source.
    """
    for source in (a, b):
        yield from _of_levels(source)
        yield from _of_channels(source)
    if a.pixels.shape == b.pixels.shape and np.array_equal(a.pixels, b.pixels):
        mend = "give each source its own file; a pair within one file has to be split"
        yield Doubt(a.path, "same_pixels", f"holds the same pixels as {b.path}: {mend}")
    yield from _of_colour(task, a, b)


def told(found: Iterable[Doubt], pairs: int) -> list[str]:
    """One line for each reason: how many pairs, and the first of them."""
    first: dict[str, Doubt] = {}
    counts: dict[str, int] = {}
    for doubt in found:
        first.setdefault(doubt.reason, doubt)
        counts[doubt.reason] = counts.get(doubt.reason, 0) + 1
    return [
        f"{doubt.path}: {doubt.detail}" + (f" ({counts[reason]} such files in {pairs} pairs)" if pairs > 1 else "")
        for reason, doubt in first.items()
    ]


def _of_levels(source: Source) -> Iterator[Doubt]:
    low, high = source.info.low, source.info.high
    if has_few_levels(source.info):
        used = f"{65535 * low:.0f} to {65535 * high:.0f} of 65535"
        mend = "stretch the levels of all images alike to the whole range, and save as PNG of 8 or 16 bits"
        yield Doubt(source.path, "few_levels", f"uses levels {used}, like raw counts of a sensor: {mend}")


def _of_channels(source: Source) -> Iterator[Doubt]:
    if source.info.dropped > IMAGE_SHARE:
        mend = "if that is the other source, save it as a file of its own; else save without it"
        yield Doubt(
            source.path, "dropped_channel", f"has a further channel with an image in it, which is dropped: {mend}"
        )


def _of_colour(task: str | None, a: Source, b: Source) -> Iterator[Doubt]:
    coloured = is_coloured(a.pixels), is_coloured(b.pixels)
    grey_one = {"vif": 0, "mif": 1}.get(task or "")
    if grey_one is not None and coloured[grey_one]:
        source, other = (a, b) if grey_one == 0 else (b, a)
        what = "infrared" if task == "vif" else "MRI"
        if not coloured[1 - grey_one]:
            mend = f"if that is the {what} image, give the two the other way round"
            detail = f"is coloured and {other.path} is grey: {mend}"
            yield Doubt(source.path, "sources_swapped", detail)
        else:
            mend = f"give the grey {what} image, before a palette was laid over it"
            yield Doubt(source.path, "coloured_first", f"is coloured, so its luma is not the {what} signal: {mend}")
    if task == "mef" and a.pixels.mean() > b.pixels.mean() + BRIGHTER:
        detail = f"is brighter than {b.path}: if it is the over-exposed image, give the two the other way round"
        yield Doubt(a.path, "sources_swapped", detail)
    if task in ("mfif", "mef") and coloured[0] is not coloured[1]:
        grey, other = (a, b) if coloured[1] else (b, a)
        yield Doubt(grey.path, "one_grey", f"is grey and {other.path} coloured: give both as they were taken")


def has_few_levels(info: ImageInfo) -> bool:
    """Whether a file of 16 bits uses so few levels that it holds raw counts of a sensor."""
    return info.bit_depth == 16 and 0 < info.high - info.low <= RAW_RANGE


def is_coloured(pixels: np.ndarray) -> bool:
    """Whether an image has colour that an eye would see.

    Example:
        >>> is_coloured(np.full((4, 4, 3), 0.5)), is_coloured(np.ones((4, 4, 3)) * [1.0, 0.5, 0.0])
        (False, True)
    """
    return pixels.ndim == 3 and float((pixels.max(axis=2) - pixels.min(axis=2)).mean()) > TINTED
