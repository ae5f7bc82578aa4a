"""Which photographs and which synthetic pairs are good enough to be written, and in one line why not.

Every verdict is ``<reason>: <detail>``, where the reason is one word to count by. Of a photograph: ``licence``,
``duplicate``, ``evaluation``, ``too_small`` (decided from the manifest, before anything is written). Of a pair:
``not_finite``, ``constant``, ``saturated``, ``identical``, ``unchanged``, ``alike``. Images that cannot be read bring
the reasons of :class:`sigforge.core.errors.ImageError`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from sigforge.core.colour import luma
from sigforge.core.errors import ImageError
from sigforge.core.images import read_image
from sigforge.dataset.hashes import phash
from sigforge.dataset.tables import Photo, photo_table
from sigforge.evaluation.realism.likeness import likeness

LEVELS = 255
_BLOCK = 1 << 14
"""Photographs compared with the test images at once: their hashes stay in the processor's cache."""

_NO_DERIVATIVES = re.compile(r"\bND\b|no[\s_-]?deriv|all rights reserved", re.IGNORECASE)


class Gates(BaseModel):
    """Section ``synth.gates``; thresholds of pairs, in grey levels of 255 of luma, are to stop only what is broken."""

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
    alike: float | None = Field(
        0.95, gt=0, lt=1, description="refuse pairs more alike than this share of the real training pairs; null: off"
    )


def refused_photos(
    photos: Sequence[Photo] | pa.Table, gates: Gates, evaluation: Sequence[str] = (), *, size: int = 0
) -> dict[int, str]:
    """Position and verdict of the photographs that may not be used; a million take seconds.

    Args:
        photos: in manifest order; of equal ones the first that is allowed stays.
        gates: what is asked.
        evaluation: perceptual hashes of the images that the networks will be judged by.
        size: shorter sides, in pixels, that are too small; enlarging would invent blur.
    """
    table = photo_table(photos)
    refused = _small(table, size) | _near(table, evaluation, gates.evaluation_bits) | _licences(table, gates)
    if gates.duplicates:
        refused |= _duplicates(table, refused)
    return dict(sorted(refused.items()))


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
    return _forbids(photo.licence, photo.allows_derivatives)


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


def refuse_alike(a: np.ndarray, b: np.ndarray, real: Sequence[float], gates: Gates) -> str | None:
    """The verdict on a pair whose sources say the same, None if they do not.

    Args:
        a, b: its sources.
        real: the likeness of real training pairs; empty if nothing is known of them.
        gates: what is asked.
    """
    if gates.alike is None or not len(real):
        return None
    limit, found = float(np.quantile(real, gates.alike)), likeness(a, b)
    if found <= limit:
        return None
    return f"alike: a and b have a likeness of {found:.3f}; {gates.alike:.0%} of real pairs have less than {limit:.3f}"


def _forbids(licence: str, allows_derivatives: bool) -> bool:
    return not allows_derivatives and bool(_NO_DERIVATIVES.search(licence))


def _small(photos: pa.Table, size: int) -> dict[int, str]:
    heights, widths = photos["height"].to_numpy(), photos["width"].to_numpy()
    return {
        place: f"too_small: photograph of {heights[place]}x{widths[place]} is smaller than synth.size {size}"
        for place in np.flatnonzero(np.minimum(heights, widths) < size).tolist()
    }


def _licences(photos: pa.Table, gates: Gates) -> dict[int, str]:
    """Decided once for each kind of terms: there are few of them, whatever the number of photographs."""
    kinds = photos["licence"].combine_chunks().dictionary_encode()
    codes, granted = kinds.indices.to_numpy(), photos["allows_derivatives"].to_numpy()
    refused: dict[int, str] = {}
    for code, licence in enumerate(kinds.dictionary.to_pylist()):
        if gates.derivatives == "granted":
            verdict = f"licence: {licence!r} does not grant changed copies"
        elif gates.derivatives == "not_forbidden" and _forbids(licence, allows_derivatives=False):
            verdict = f"licence: {licence!r} forbids changed copies"
        else:
            continue
        refused |= dict.fromkeys(np.flatnonzero((codes == code) & ~granted).tolist(), verdict)
    return refused


def _duplicates(photos: pa.Table, refused: Mapping[int, str]) -> dict[int, str]:
    """Repetitions among photographs that are not ``refused``."""
    allowed = np.setdiff1d(np.arange(photos.num_rows), np.fromiter(refused, int, len(refused)))
    names = photos["photo_id"]
    found: dict[int, str] = {}
    for column, what in (("phash", "perceptual hash"), ("sha256", "bytes")):
        texts = photos[column]
        # By their last 64 bits, for whole texts take four times the memory; a chance meeting is no repetition.
        codes = np.concatenate([_hashes(pc.utf8_slice_codeunits(chunk, -16)) for chunk in texts.chunks])[allowed]
        _, first, which = np.unique(codes, return_index=True, return_inverse=True)
        owners = first[which]
        for at in np.flatnonzero(owners != np.arange(len(codes))).tolist():
            place, owner = int(allowed[at]), int(allowed[owners[at]])
            if texts[place] == texts[owner]:
                found[place] = f"duplicate: same {what} as {names[owner].as_py()}"
    return found


def _near(photos: pa.Table, evaluation: Sequence[str], bits: int | None) -> dict[int, str]:
    if bits is None or not evaluation or not photos.num_rows:
        return {}
    tests = np.unique(_hashes(pa.array(evaluation)))
    hashes, near = _hashes(photos["phash"].combine_chunks()), {}
    for start in range(0, len(hashes), _BLOCK):
        nearest = _nearest(hashes[start : start + _BLOCK], tests)
        for offset in np.flatnonzero(nearest <= bits).tolist():
            near[start + offset] = f"evaluation: {nearest[offset]} of 64 hash bits from a test image"
    return near


def _nearest(hashes: np.ndarray, tests: np.ndarray) -> np.ndarray:
    """Bits between each hash and the nearest of ``tests``."""
    differing, distance = np.empty_like(hashes), np.empty(hashes.shape, np.uint8)
    nearest = np.full(hashes.shape, 64, np.uint8)
    for test in tests:
        np.bitwise_xor(hashes, test, out=differing)
        np.bitwise_count(differing, out=distance)
        np.minimum(nearest, distance, out=nearest)
    return nearest


def _hashes(texts: pa.Array) -> np.ndarray:
    """Hexadecimal texts of up to 16 digits as 64-bit numbers."""
    digits = pc.utf8_lpad(texts, 16, "0")
    joined = pc.binary_join(pa.ListArray.from_arrays([0, len(digits)], digits), "")[0].as_py()
    return np.frombuffer(bytes.fromhex(joined), ">u8").astype(np.uint64)


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
