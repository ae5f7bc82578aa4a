"""Images that lie in folders: pairs that share a file stem, and photographs.

Listing is quick and done once; checking decodes every image and is a pure function per pair or photograph, so a pool of
processes may do it. What cannot be used is quarantined with a reason, and the rest goes on.

Reasons beside those of :class:`~sigforge.core.errors.ImageError`: ``ambiguous_stem``, ``no_partner``,
``different_size``, ``constant``, ``same_image``, ``duplicate_pair``, ``duplicate_photo``, ``odd_name``, and those of
:mod:`sigforge.dataset.contents`.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from sigforge.core.errors import ImageError, UserError
from sigforge.core.escape import escape_terminal
from sigforge.core.files import sha256_bytes
from sigforge.core.images import ImageInfo, decode_bytes, read_bytes
from sigforge.dataset.contents import STAGE, contents
from sigforge.dataset.doubts import Doubt, Source, doubts_about
from sigforge.dataset.hashes import phash
from sigforge.dataset.sources.registry import PairCandidate, PhotoCandidate
from sigforge.dataset.tables import Levels, Pair, Photo, Quarantined
from sigforge.dataset.tasks import modalities

MIN_SIDE = 16  # below, the 11x11 windows of the metrics hardly fit
PHOTO_MIN_SIDE = 64  # a photograph is a source of training crops

Record = TypeVar("Record", Pair, Photo)


@dataclass(frozen=True)
class Examined:
    """What became of a candidate, the levels in use of its files, and what is odd about them."""

    result: Pair | Photo | Quarantined
    levels: tuple[Levels, ...] = ()
    doubts: tuple[Doubt, ...] = ()


def pair_folders(
    a_dir: str | Path,
    b_dir: str | Path,
    *,
    task: str,
    subtask: str,
    source: str,
    licence: str,
    limit: int | None = None,
) -> tuple[list[PairCandidate], list[Quarantined]]:
    """Match the images of two folders by stem (case matters; extensions may differ).

    Args:
        a_dir: images of the task's first modality; sub-folders and what is no image are passed over.
        b_dir: images of the second.
        task: see :func:`sigforge.dataset.tasks.modalities`.
        subtask: likewise.
        source: short name of the collection; pair ids begin with it.
        licence: recorded with every pair.
        limit: keep the first so many candidates, by stem.

    Returns:
        Candidates sorted by stem, and the files left over (``ambiguous_stem``, ``no_partner``, ``other_format``).

    Raises:
        UserError: an unknown task, a missing or empty folder, one folder given twice, or no shared stem.
    """
    modalities(task, subtask)
    listed = contents(a_dir), contents(b_dir)
    if os.path.samefile(a_dir, b_dir):
        split = "sort the images of each source into a folder of its own, the two of a pair under the same name"
        raise UserError(f"{a_dir}: given for both sources, so each image would be fused with itself: {split}")
    a, b = (_by_stem(found.images) for found in listed)
    shared = sorted(a.keys() & b.keys())
    if not shared:
        a_names, b_names = (", ".join(sorted(stems)[:3]) for stems in (a, b))
        both = f"{a_dir} ({a_names}, ...) and {b_dir} ({b_names}, ...)"
        raise UserError(f"{both} share no file stem: give the two images of a pair the same name")
    clear = [stem for stem in shared if len(a[stem]) == len(b[stem]) == 1]
    candidates = [
        PairCandidate(safe_id(source, stem), task, subtask, str(a[stem][0]), str(b[stem][0]), source, licence)
        for stem in clear
    ]
    unread_a, unread_b = (found.left_out for found in listed)
    alone = [*_unmatched(a, b, b_dir, unread_b), *_unmatched(b, a, a_dir, unread_a)]
    return candidates[:limit], [*alone, *unread_a, *unread_b]


def check_pair(candidate: PairCandidate, *, min_side: int = MIN_SIDE) -> Pair | Quarantined:
    """Decode, hash and compare the two images of a candidate.

    Args:
        candidate: from :func:`pair_folders`.
        min_side: smallest height and width, in pixels.

    Returns:
        The pair, its split still empty, or why it cannot be used.
    """
    return cast(Pair | Quarantined, examine_pair(candidate, min_side=min_side).result)


def examine_pair(candidate: PairCandidate, *, min_side: int = MIN_SIDE) -> Examined:
    """:func:`check_pair`, and what else was seen of the files.

    Args:
        candidate: from :func:`pair_folders`.
        min_side: smallest height and width, in pixels.

    Returns:
        The result, the levels in use of both files, and what is odd about a pair that can be used.
    """
    try:
        _require_text(candidate.a_path, candidate.b_path)
        a, b = _open(candidate.a_path, min_side), _open(candidate.b_path, min_side)
    except ImageError as error:
        return Examined(Quarantined(error.path, STAGE, error.reason, error.detail))
    levels = _levels(candidate.a_path, a), _levels(candidate.b_path, b)
    if a.pixels.shape[:2] != b.pixels.shape[:2]:
        detail = f"is {a.size}, but {candidate.b_path} is {b.size} (width x height)"
        return Examined(Quarantined(candidate.a_path, STAGE, "different_size", detail), levels)
    if a.sha256 == b.sha256 or _same_pixels(a.pixels, b.pixels):
        detail = f"holds the same pixels as {candidate.b_path}"
        return Examined(Quarantined(candidate.a_path, STAGE, "same_image", detail), levels)
    pair = Pair(
        **vars(candidate),
        split="",
        a_sha256=a.sha256,
        b_sha256=b.sha256,
        height=a.info.height,
        width=a.info.width,
        a_channels=a.info.channels,
        b_channels=b.info.channels,
    )
    sources = Source(candidate.a_path, a.pixels, a.info), Source(candidate.b_path, b.pixels, b.info)
    return Examined(pair, levels, tuple(doubts_about(candidate.task, *sources)))


def photo_folder(
    folder: str | Path,
    *,
    source: str,
    licence: str,
    licence_url: str = "",
    author: str = "",
    allows_derivatives: bool = False,
    allows_commercial: bool = False,
    limit: int | None = None,
) -> list[PhotoCandidate]:
    """List the photographs of a folder and its sub-folders; terms not stated are taken as not granted.

    Args:
        folder: where they lie; what else lies there is said by :func:`sigforge.dataset.contents.contents`.
        source: short name of the collection; photo ids begin with it.
        licence: recorded with every photograph, like the four that follow.
        licence_url: where the terms stand.
        author: who is to be named.
        allows_derivatives: may changed versions be given away?
        allows_commercial: may it be used in commerce?
        limit: keep the first so many, by path.

    Raises:
        UserError: the folder is missing or holds no image.
    """
    paths = contents(folder, deep=True).images
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    doubled = {name for name, count in Counter(names).items() if count > 1}
    terms = (source, licence, licence_url, author, allows_derivatives, allows_commercial)
    return [
        PhotoCandidate(safe_id(source, name + path.suffix if name in doubled else name), str(path), *terms)
        for name, path in zip(names, paths, strict=True)
    ][:limit]


def check_photo(candidate: PhotoCandidate, *, min_side: int = PHOTO_MIN_SIDE) -> Photo | Quarantined:
    """Decode and hash one photograph; ``min_side`` is the smallest height and width, in pixels.

    Returns:
        The photograph, or why it cannot be used.
    """
    return cast(Photo | Quarantined, examine_photo(candidate, min_side=min_side).result)


def examine_photo(candidate: PhotoCandidate, *, min_side: int = PHOTO_MIN_SIDE) -> Examined:
    """:func:`check_photo`, and the levels in use of the file.

    Args:
        candidate: from :func:`photo_folder`.
        min_side: smallest height and width, in pixels.
    """
    try:
        _require_text(candidate.path)
        opened = _open(candidate.path, min_side)
    except ImageError as error:
        return Examined(Quarantined(error.path, STAGE, error.reason, error.detail))
    photo = Photo(
        **vars(candidate),
        sha256=opened.sha256,
        phash=phash(opened.pixels),
        height=opened.info.height,
        width=opened.info.width,
        channels=opened.info.channels,
    )
    return Examined(photo, (_levels(candidate.path, opened),))


def drop_duplicates(records: Iterable[Record]) -> tuple[list[Record], list[Quarantined]]:
    """Keep the first, by id, of records whose files are equal byte by byte.

    Args:
        records: pairs (equal when both files are) or photographs, in any order, of one or several sources.

    Returns:
        The records kept, sorted by id, and the others as ``duplicate_pair`` or ``duplicate_photo``.
    """
    first: dict[tuple[str, ...], Record] = {}
    dropped = []
    for record in sorted(records, key=_identity):
        kept = first.setdefault(_content(record), record)
        if kept is not record:
            path, reason = _file_and_reason(record)
            detail = f"{_identity(record)} repeats {_identity(kept)} byte by byte"
            dropped.append(Quarantined(path, STAGE, reason, detail))
    return list(first.values()), dropped


def safe_id(source: str, name: str) -> str:
    """Return ``<source>-<name>`` as a file name that is safe everywhere.

    A name that had to be changed or shortened carries eight digits of its hash, so that two names never become one.

    Example:
        >>> safe_id("roadscene", "FLIR_00006"), safe_id("trip", "day 1/é")
        ('roadscene-FLIR_00006', 'trip-day_1__-b92cf8d6')
    """
    wanted = f"{source}-{name}"
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", wanted).lstrip(".")[:100]
    return safe if safe == wanted else f"{safe}-{sha256_bytes(os.fsencode(wanted))[:8]}"


@dataclass(frozen=True)
class _Opened:
    pixels: np.ndarray
    info: ImageInfo
    sha256: str

    @property
    def size(self) -> str:
        return f"{self.info.width}x{self.info.height}"


def _require_text(*paths: str) -> None:
    """Raise an ImageError if a path cannot be written into a table, whose text is UTF-8."""
    for path in paths:
        if path != path.encode(errors="replace").decode():
            mend = "rename it ('convmv -f gbk -t utf-8 --notest' renames whole folders of files named in GBK)"
            raise ImageError(escape_terminal(path), "odd_name", f"its name is not UTF-8: {mend}")


def _open(path: str, min_side: int) -> _Opened:
    data = read_bytes(path)
    pixels, info = decode_bytes(data, path, min_side=min_side)
    if (pixels == pixels[0, 0]).all():
        raise ImageError(path, "constant", "every pixel has the same value: leave it out")
    return _Opened(pixels, info, sha256_bytes(data))


def _levels(path: str, opened: _Opened) -> Levels:
    return Levels(path, opened.info.bit_depth, opened.info.low, opened.info.high)


def _same_pixels(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal values; a grey image equals its copy with three equal channels."""
    if a.ndim != b.ndim:
        a, b = np.atleast_3d(a), np.atleast_3d(b)
    return bool((a == b).all())


def _by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    stems: dict[str, list[Path]] = {}
    for path in paths:
        stems.setdefault(_spelt(path.stem), []).append(path)
    return stems


def _spelt(stem: str) -> str:
    """One spelling for an accented letter, which systems write as one character or as two."""
    return unicodedata.normalize("NFC", stem)


def _unmatched(
    mine: dict[str, list[Path]], theirs: dict[str, list[Path]], folder: object, unread: Sequence[Quarantined]
) -> list[Quarantined]:
    """The files of one side that found no partner, or no single one."""
    others = {_spelt(Path(item.path).stem): f", but {Path(item.path).name}, which is not read" for item in unread}
    others |= {paths[0].stem.casefold(): f", but {paths[0].name}: case matters" for paths in theirs.values()}
    left_over: list[Quarantined] = []
    for stem, paths in mine.items():
        partners = [path.name for path in theirs.get(stem, [])]
        if len(paths) > 1:
            reason, detail = "ambiguous_stem", f"{', '.join(path.name for path in paths)} share a stem: keep one"
        elif len(partners) != 1:
            found = f"several images ({', '.join(partners)})" if partners else "no image"
            hint = "" if partners else others.get(stem, others.get(stem.casefold(), ""))
            reason, detail = "no_partner", f"{folder} holds {found} with the stem '{stem}'{hint}"
        else:
            continue
        left_over.extend(Quarantined(str(path), STAGE, reason, detail) for path in paths)
    return left_over


def _identity(record: Pair | Photo) -> str:
    return record.pair_id if isinstance(record, Pair) else record.photo_id


def _file_and_reason(record: Pair | Photo) -> tuple[str, str]:
    return (record.a_path, "duplicate_pair") if isinstance(record, Pair) else (record.path, "duplicate_photo")


def _content(record: Pair | Photo) -> tuple[str, ...]:
    return (record.a_sha256, record.b_sha256) if isinstance(record, Pair) else (record.sha256,)
