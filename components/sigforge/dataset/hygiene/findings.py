"""What is found over all pairs of a data set: each a check, how grave it is, and whom it is about."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pyarrow as pa

from sigforge.dataset.hygiene.facts import PairFacts
from sigforge.dataset.registration.pairs import CERTAIN
from sigforge.dataset.tables import Photo

NEAR_BITS = 4
"""Of 64, in which the hashes of both images of near duplicates differ at most."""
PHOTO_BITS = 6
OFF_PIXELS = 1.5
BORDER_PIXELS = 2
BLOCKS = 0.03
"""Measured on 42 photographs: never above 0.01 where they were no JPEG; of JPEG at quality 75, 0.06 in the median."""

Grade = Literal["wrong", "look", "note"]
GRADES: tuple[Grade, ...] = ("wrong", "look", "note")

_DUPLICATE: dict[bool, tuple[str, Grade]] = {True: ("duplicate_across", "wrong"), False: ("duplicate", "look")}
_NEAR_DUPLICATE: dict[bool, tuple[str, Grade]] = {
    True: ("near_duplicate_across", "wrong"),
    False: ("near_duplicate", "note"),
}

FINDINGS = pa.schema(
    [
        pa.field("check", pa.string(), nullable=False),
        pa.field("grade", pa.string(), nullable=False),
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("other", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("certainty", pa.float64(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class HygieneFinding:
    """One thing to look at.

    Attributes:
        check: in one word.
        grade: ``wrong`` spoils results, ``look`` may, ``note`` is good to know.
        pair_id: whom it is about.
        other: the pair or photograph it is about as well; empty if none.
        value: what was measured, in the check's unit.
        certainty: in [0, 1]; 1 where nothing is estimated.
        detail: in words.
    """

    check: str
    grade: Grade
    pair_id: str
    other: str
    value: float
    certainty: float
    detail: str


def findings_of(facts: Sequence[PairFacts], photos: Sequence[Photo] = ()) -> list[HygieneFinding]:
    """Everything found, the gravest first.

    Args:
        facts: of all pairs.
        photos: from which synthetic pairs are made, to be compared with test images.
    """
    readable = [fact for fact in facts if fact.sides]
    found = [
        *(_finding("unreadable", "wrong", fact, detail=fact.unreadable) for fact in facts if fact.unreadable),
        *_duplicates(readable),
        *_near_duplicates(readable),
        *_leaks(readable, photos),
        *(finding for fact in readable for finding in _single(fact)),
    ]
    return sorted(found, key=lambda one: (GRADES.index(one.grade), one.check, -abs(one.value), one.pair_id, one.other))


def _single(fact: PairFacts) -> Iterator[HygieneFinding]:
    """What a pair says by itself."""
    shift = fact.shift
    if shift and shift.certainty >= CERTAIN and shift.length > OFF_PIXELS:
        told = f"the first image lies {shift.length:.1f} pixels off: right {-shift.dx:.1f}, down {-shift.dy:.1f}"
        yield _finding("unregistered", "look", fact, value=shift.length, certainty=shift.certainty, detail=told)
    for path, side in zip((fact.pair.a_path, fact.pair.b_path), fact.sides, strict=True):
        if side.border >= BORDER_PIXELS:
            yield _finding("border", "look", fact, value=side.border, detail=f"{path}: a margin of one value")
        if side.blocks > BLOCKS and not side.lossy:
            told = f"{path}: has the 8 x 8 blocks of a JPEG, though it is none: use the original"
            yield _finding("recompressed", "look", fact, value=side.blocks, detail=told)
    for reason, detail in fact.doubts:
        grade: Grade = "wrong" if reason in ("sources_swapped", "same_pixels") else "look"
        yield _finding(reason, grade, fact, detail=detail)


def _duplicates(facts: Sequence[PairFacts]) -> Iterator[HygieneFinding]:
    """Files that stand in several pairs; across splits they leak."""
    owners: dict[str, list[PairFacts]] = defaultdict(list)
    for fact in facts:
        for sha256 in {side.sha256 for side in fact.sides}:
            owners[sha256].append(fact)
    for several in owners.values():
        for one, other in combinations(several, 2):
            across = one.pair.split != other.pair.split
            check, grade = _DUPLICATE[across]
            splits = f"{one.pair.split} and {other.pair.split}" if across else one.pair.split
            yield _finding(check, grade, one, other=other.pair.pair_id, detail=f"the same file in {splits}")


def _near_duplicates(facts: Sequence[PairFacts]) -> Iterator[HygieneFinding]:
    """Pairs both of whose images look alike, of other bytes."""
    hashes = [_numbers([fact.sides[side].phash for fact in facts]) for side in (0, 1)]
    for row in range(len(facts) - 1):
        apart = np.maximum(*(np.bitwise_count(one[row + 1 :] ^ one[row]) for one in hashes))
        for place in np.flatnonzero(apart <= NEAR_BITS).tolist():
            one, other = facts[row], facts[row + 1 + place]
            if {side.sha256 for side in one.sides} & {side.sha256 for side in other.sides}:
                continue
            across = one.pair.split != other.pair.split
            check, grade = _NEAR_DUPLICATE[across]
            splits = " and ".join(fact.pair.split or "no split" for fact in (one, other))
            told = f"{apart[place]} of 64 hash bits differ; {splits}"
            yield _finding(check, grade, one, other=other.pair.pair_id, value=float(apart[place]), detail=told)


def _leaks(facts: Sequence[PairFacts], photos: Sequence[Photo]) -> Iterator[HygieneFinding]:
    """Photographs that look like a test image: synthetic pairs of them would show what is tested on."""
    if not photos:
        return
    known = _numbers([photo.phash for photo in photos])
    for fact in (fact for fact in facts if fact.pair.split == "test"):
        for side in fact.sides:
            apart = np.bitwise_count(known ^ _numbers([side.phash]))
            for place in np.flatnonzero(apart <= PHOTO_BITS).tolist():
                told = f"photograph {photos[place].path} looks like a test image: {apart[place]} of 64 hash bits differ"
                other = photos[place].photo_id
                yield _finding("photo_leak", "wrong", fact, other=other, value=float(apart[place]), detail=told)


def counts(findings: Sequence[HygieneFinding]) -> Mapping[tuple[str, str], int]:
    """How many findings there are, by grade and check, in their order."""
    found: dict[tuple[str, str], int] = {}
    for finding in findings:
        found[finding.grade, finding.check] = found.get((finding.grade, finding.check), 0) + 1
    return found


def _finding(
    check: str,
    grade: Grade,
    fact: PairFacts,
    *,
    other: str = "",
    value: float = 0.0,
    certainty: float = 1.0,
    detail: str = "",
) -> HygieneFinding:
    return HygieneFinding(check, grade, fact.pair.pair_id, other, float(value), certainty, detail)


def _numbers(texts: Sequence[str]) -> np.ndarray:
    return np.array([int(text, 16) for text in texts], np.uint64)
