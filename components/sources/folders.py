"""Images that lie in folders: pairs that share a file stem, and photographs.

Listing is quick and done once; checking decodes every image and is a pure function per pair or photograph, so a pool of
processes may do it. What cannot be used is quarantined with a reason, and the rest goes on.

Reasons beside those of :class:`~components.errors.ImageError`: ``ambiguous_stem``, ``no_partner``, ``different_size``,
``constant``, ``same_image``, ``duplicate_pair``, ``duplicate_photo``.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import numpy as np

from components.errors import ImageError, UserError
from components.files import sha256_bytes
from components.images import ImageInfo, decode_bytes, read_bytes
from components.manifest import Pair, Photo, Quarantined, modalities, phash

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
MIN_SIDE = 16  # two submodules of patch 4 leave no token smaller images could fill
STAGE = "ingest"

Record = TypeVar("Record", Pair, Photo)


@dataclass(frozen=True)
class PairCandidate:
    """Two files that share a stem, not yet opened."""

    pair_id: str
    task: str
    subtask: str
    a_path: str
    b_path: str
    source: str
    licence: str


@dataclass(frozen=True)
class PhotoCandidate:
    """A photograph and its terms, not yet opened."""

    photo_id: str
    path: str
    source: str
    licence: str
    licence_url: str
    author: str
    allows_derivatives: bool
    allows_commercial: bool


def pair_folders(
    a_dir: str | Path, b_dir: str | Path, *, task: str, subtask: str, source: str, licence: str, limit: int | None = None
) -> tuple[list[PairCandidate], list[Quarantined]]:
    """Match the images of two folders by stem (case matters; extensions may differ).

    Args:
        a_dir: images of the task's first modality; sub-folders, hidden files and other extensions are passed over.
        b_dir: images of the second.
        task: see :func:`components.manifest.modalities`.
        subtask: likewise.
        source: short name of the collection; pair ids begin with it.
        licence: recorded with every pair.
        limit: keep the first so many candidates, by stem.

    Returns:
        Candidates sorted by stem, and the files left over (``ambiguous_stem``, ``no_partner``).

    Raises:
        UserError: an unknown task, a missing or empty folder, or no shared stem.
    """
    modalities(task, subtask)
    folders = Path(a_dir), Path(b_dir)
    a, b = (_by_stem(_images(folder), lambda path: path.stem) for folder in folders)
    shared = sorted(a.keys() & b.keys())
    if not shared:
        examples = " and ".join(f"{folder} (e.g. {_examples(stems)})" for folder, stems in zip(folders, (a, b)))
        raise UserError(f"{examples} share no file stem: give the two images of a pair the same name")
    clear = [stem for stem in shared if len(a[stem]) == len(b[stem]) == 1]
    candidates = [
        PairCandidate(safe_id(source, stem), task, subtask, str(a[stem][0]), str(b[stem][0]), source, licence)
        for stem in clear
    ]
    return candidates[:limit], [*_unmatched(a, b, folders[1]), *_unmatched(b, a, folders[0])]


def check_pair(candidate: PairCandidate, *, min_side: int = MIN_SIDE) -> Pair | Quarantined:
    """Decode, hash and compare the two images of a candidate.

    Args:
        candidate: from :func:`pair_folders`.
        min_side: smallest height and width, in pixels.

    Returns:
        The pair, its split still empty, or why it cannot be used.
    """
    paths = (candidate.a_path, candidate.b_path)
    try:
        a, b = (_Opened.read(path, min_side) for path in paths)
    except ImageError as error:
        return _quarantined(error)
    names = f"{Path(paths[0]).name} and {Path(paths[1]).name}"
    if a.pixels.shape[:2] != b.pixels.shape[:2]:
        return Quarantined(paths[0], STAGE, "different_size", f"{a.size} in {paths[0]} but {b.size} in {paths[1]}")
    if a.sha256 == b.sha256 or _same_pixels(a.pixels, b.pixels):
        return Quarantined(paths[0], STAGE, "same_image", f"{paths[0]} and {paths[1]} hold the same image")
    return Pair(
        pair_id=candidate.pair_id,
        task=candidate.task,
        subtask=candidate.subtask,
        split="",
        a_path=candidate.a_path,
        b_path=candidate.b_path,
        a_sha256=a.sha256,
        b_sha256=b.sha256,
        height=a.info.height,
        width=a.info.width,
        a_channels=a.info.channels,
        b_channels=b.info.channels,
        source=candidate.source,
        licence=candidate.licence,
    )
