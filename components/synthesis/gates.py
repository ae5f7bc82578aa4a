"""Which photographs and which synthetic pairs are good enough to be written, and in one line why not.

Every verdict is ``<reason>: <detail>``, where the reason is one word to count by. Of a photograph: ``licence``,
``duplicate``, ``evaluation`` (decided from the manifest, before anything is written). Of a pair: ``not_finite``,
``constant``, ``saturated``, ``identical``, ``unchanged``. Images that cannot be read bring the reasons of
:class:`components.errors.ImageError`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from components.colour import luma
from components.errors import ImageError
from components.images import read_image
from components.manifest import Photo, phash

LEVELS = 255
_BLOCK = 1 << 22
"""Hash distances computed at once: 32 MB, whatever the number of photographs."""

_NO_DERIVATIVES = re.compile(r"\bND\b|no[\s_-]?deriv|all rights reserved", re.IGNORECASE)


class Gates(BaseModel):
    """Section ``synth.gates``. Thresholds of pairs are in grey levels of 255, of luma, and meant to stop only what is broken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    derivatives: Literal["not_forbidden", "granted", "any"] = Field(
        "not_forbidden", description="licence of a photograph; granted: unstated terms are refused too"
    )
    duplicates: bool = Field(True, description="refuse a photograph whose sha256 or perceptual hash an earlier one has")
    evaluation_bits: int | None = Field(
        8, ge=0, le=32, description="refuse photographs whose hash is as near (of 64 bits) to a test image's; null: off"
    )
    min_std: float = Field(0.5, ge=0, description="an image that spreads less is constant")
    max_saturated: float = Field(0.95, gt=0, le=1, description="largest share of pixels that are black, or white")
    min_difference: float = Field(0.0, ge=0, description="sources whose mean difference is not greater are identical")
    min_change: float = Field(0.0, ge=0, description="a pair that is not farther from its photograph is unchanged")


def refused_photos(photos: Sequence[Photo], gates: Gates, evaluation: Sequence[str] = ()) -> dict[int, str]:
    """Position and verdict of the photographs that may not be used.

    Args:
        photos: in manifest order; of equal ones the first that is allowed stays.
        gates: what is asked.
        evaluation: perceptual hashes of the images that the networks will be judged by.
    """
    near = _near(photos, evaluation, gates.evaluation_bits)
    refused: dict[int, str] = {}
    owners: dict[str, str] = {}
    for position, photo in enumerate(photos):
        verdict = _licence(photo, gates) or near.get(position) or _duplicate(photo, owners, gates)
        if verdict:
            refused[position] = verdict
        else:
            owners.setdefault(photo.sha256, photo.photo_id)
            owners.setdefault(photo.phash, photo.photo_id)
    return refused


def hash_of_image(path: str | Path) -> str | None:
    """Perceptual hash of an image file; None if it cannot be read, for then nobody is evaluated on it either."""
    try:
        return phash(read_image(path)[0])
    except ImageError:
        return None


def forbids_derivatives(photo: Photo) -> bool:
    """Whether the licence is known to forbid changed copies; an unstated one ("unknown") is not known to.

    Example:
        >>> terms = ("CC BY-ND 2.0", "", "somebody", False, False)
        >>> forbids_derivatives(Photo("p", "p.jpg", "", "", 64, 64, 3, "flickr", *terms))
        True
    """
    return not photo.allows_derivatives and bool(_NO_DERIVATIVES.search(photo.licence))


def refuse_pair(photo: np.ndarray, a: np.ndarray, b: np.ndarray, gates: Gates, *, may_keep: bool = False) -> str | None:
    """The verdict on a synthetic pair, None if it is good.

    Args:
        photo: (H, W) or (H, W, 3) in [0, 1], cut as the pair is.
        a: first source, likewise.
        b: second source.
        gates: what is asked.
        may_keep: the model modulates nothing on purpose (``plgn.sm: none``), so sources may equal the photograph.
    """
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return "not_finite: the model gave NaN or infinity"
    planes = [np.asarray(luma(image), np.float32) * LEVELS for image in (photo, a, b)]
    for name, plane in zip("ab", planes[1:], strict=True):
        if verdict := _degenerate(name, plane, gates):
            return verdict
    before, first, second = planes
    if may_keep:
        return None
    change = max(_distance(before, first), _distance(before, second))
    if change <= gates.min_change:
        return f"unchanged: a and b differ from the photograph by {change:.3g} grey levels"
    if (difference := _distance(first, second)) <= gates.min_difference:
        return f"identical: a and b differ by {difference:.3g} grey levels"
    return None


def _licence(photo: Photo, gates: Gates) -> str | None:
    if gates.derivatives == "granted" and not photo.allows_derivatives:
        return f"licence: {photo.licence!r} does not grant changed copies"
    if gates.derivatives == "not_forbidden" and forbids_derivatives(photo):
        return f"licence: {photo.licence!r} forbids changed copies"
    return None


def _duplicate(photo: Photo, owners: Mapping[str, str], gates: Gates) -> str | None:
    if not gates.duplicates:
        return None
    if owner := owners.get(photo.sha256):
        return f"duplicate: same bytes as {owner}"
    if owner := owners.get(photo.phash):
        return f"duplicate: same perceptual hash as {owner}"
    return None


def _near(photos: Sequence[Photo], evaluation: Sequence[str], bits: int | None) -> dict[int, str]:
    if bits is None or not evaluation or not photos:
        return {}
    tests = _hashes(evaluation)
    hashes, near = _hashes([photo.phash for photo in photos]), {}
    step = max(1, _BLOCK // len(tests))
    for start in range(0, len(hashes), step):
        nearest = np.bitwise_count(hashes[start : start + step, None] ^ tests).min(1)
        for offset in np.flatnonzero(nearest <= bits).tolist():
            near[start + offset] = f"evaluation: {nearest[offset]} of 64 hash bits from a test image"
    return near


def _hashes(texts: Sequence[str]) -> np.ndarray:
    return np.array([int(text, 16) for text in texts], np.uint64)


def _degenerate(name: str, plane: np.ndarray, gates: Gates) -> str | None:
    if (spread := plane.std()) < gates.min_std:
        return f"constant: {name} has a standard deviation of {spread:.3g} grey levels"
    levels = np.rint(plane)
    share = max((levels <= 0).mean(), (levels >= LEVELS).mean())
    if share > gates.max_saturated:
        return f"saturated: {share:.1%} of {name} is black, or white"
    return None


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())
