"""What lies in a folder: images that are read, images that are not, and other things; nothing vanishes without a word.

Passed over in silence is only what systems leave beside a person's files: hidden files, ``Thumbs.db``, ``@eaDir`` and
their like.

Reasons: ``other_format``, ``unreadable_folder``, and, of what is only noted (:data:`NOTES`), ``other_files``,
``sub_folders``, ``linked_again``.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.core.images import is_image
from sigforge.dataset.tables import Quarantined

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
LOOKED_INTO = frozenset({".dib", ".gif", ".jfif", ".jpe", ".pgm", ".pnm", ".ppm"})
"""Read where the content is an image, as it mostly is."""
NOT_READ = frozenset(
    ".3fr .arw .avif .cr2 .cr3 .dcm .dng .exr .fff .hdr .heic .heif .ico .j2k .jp2 .jpx .jxl .nef .nii .orf .pcx "
    ".pef .psd .raf .raw .rw2 .svg .tga".split()
)
FOREIGN_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "picasa.ini"})
FOREIGN_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information", "lost+found"}
)
NOTES = frozenset({"other_files", "sub_folders", "linked_again"})
"""Reasons of what is said but is no fault: no image was left out."""

STAGE = "ingest"
_SHOWN = 3
_PEEKED = 50  # sub-folders looked into for a message


@dataclass(frozen=True)
class Contents:
    """What a folder holds.

    Attributes:
        images: files that are read as images, sorted; a dangling link counts, and is missing when it is opened.
        left_out: images and folders that cannot be read, with their reasons.
        notes: what else lies there, a line for each kind.
    """

    images: tuple[Path, ...]
    left_out: tuple[Quarantined, ...]
    notes: tuple[Quarantined, ...]


def contents(folder: str | Path, *, deep: bool = False) -> Contents:
    """List a folder; links to folders are followed, each folder once.

    Args:
        folder: where to look.
        deep: in sub-folders, too.

    Raises:
        UserError: no such folder, or no image in it; the message says what is there instead.
    """
    folder = Path(folder)
    walk = _walk(folder, deep)
    images = [path for path in walk.files if is_read(path)]
    others = sorted(set(walk.files) - set(images))
    unread = [path for path in others if path.suffix.lower() in NOT_READ]
    holding = _holding_images(walk.folders)
    if not images:
        raise UserError(f"{folder}: {_instead(unread, holding)}")
    return Contents(
        tuple(sorted(images)),
        (*map(_of_other_format, unread), *walk.closed),
        tuple(_notes(folder, sorted(set(others) - set(unread)), holding, walk.again)),
    )


@dataclass
class _Found:
    """Files; sub-folders that were not entered; folders that cannot be opened; links to folders entered already."""

    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    closed: list[Quarantined] = field(default_factory=list)
    again: list[Path] = field(default_factory=list)


def _walk(folder: Path, deep: bool) -> _Found:
    """Real folders before links, so that a link to one of them changes no path."""
    found, pending, links, seen = _Found(), [folder], list[Path](), set[object]()
    while pending or links:
        at = pending.pop() if pending else links.pop(0)
        try:
            entries = sorted(os.scandir(at), key=lambda entry: entry.name)
            state = at.stat()
        except OSError as error:
            if at == folder:
                raise UserError(_unopened(folder, error)) from error
            detail = f"cannot be opened ({error.strerror}): change its mode, or leave it out"
            found.closed.append(Quarantined(str(at), STAGE, "unreadable_folder", detail))
            continue
        if (state.st_dev, state.st_ino) in seen:
            found.again.append(at)
            continue
        seen.add((state.st_dev, state.st_ino))
        for entry in entries:
            if _is_foreign(entry):
                continue
            if not entry.is_dir():
                found.files.append(Path(entry.path))
            elif deep:
                (links if entry.is_symlink() else pending).append(Path(entry.path))
            else:
                found.folders.append(Path(entry.path))
    return found


def _unopened(folder: Path, error: OSError) -> str:
    if not folder.exists() or not folder.is_dir():
        return f"{folder}: no such folder: correct the path in params.yaml or fetch the images"
    return f"{folder}: cannot be opened ({error.strerror}): change its mode, or give another folder"


def _is_foreign(entry: os.DirEntry) -> bool:
    """Hidden, or left by a system."""
    name = entry.name.lower()
    known = FOREIGN_FOLDERS if entry.is_dir() else FOREIGN_FILES
    return name.startswith(".") or name in known or name.endswith(":zone.identifier")


def is_read(path: Path) -> bool:
    """Whether a file is taken for an image, by its ending or, where that says little, its first bytes.

    Example:
        >>> is_read(Path("a.PNG")), is_read(Path("a.txt"))
        (True, False)
    """
    ending = path.suffix.lower()
    return ending in EXTENSIONS or (ending in LOOKED_INTO and is_image(path))


def _holding_images(folders: Iterable[Path]) -> dict[Path, int]:
    """Sub-folders and how many images each holds, where it holds any."""
    counts = {}
    for folder in list(folders)[:_PEEKED]:
        try:
            counts[folder] = sum(path.suffix.lower() in EXTENSIONS | LOOKED_INTO for path in folder.iterdir())
        except OSError:
            continue
    return {folder: count for folder, count in counts.items() if count}


def _instead(unread: Sequence[Path], holding: dict[Path, int]) -> str:
    """Why no image was found, and the way out."""
    if holding:
        return f"holds no image, but its sub-folders do ({_counted(holding)}): give one of them, or move the images up"
    if unread:
        kinds = ", ".join(sorted({path.suffix.lower() for path in unread}))
        return f"holds no image that is read, but {len(unread)} of another format ({kinds}): save them as PNG"
    return f"holds no image: put {', '.join(sorted(EXTENSIONS))} files there"


def _of_other_format(path: Path) -> Quarantined:
    return Quarantined(str(path), STAGE, "other_format", f"{path.suffix} files are not read: save it as PNG")


def _notes(
    folder: Path, others: Sequence[Path], holding: dict[Path, int], again: Sequence[Path]
) -> Iterator[Quarantined]:
    if others:
        kinds = Counter(path.suffix.lower() or "without ending" for path in others)
        counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(_SHOWN))
        counts += ", ..." if len(kinds) > _SHOWN else ""
        detail = f"{len(others)} files are passed over as no images ({counts}), e.g. {others[0].name}"
        yield Quarantined(str(folder), STAGE, "other_files", detail)
    if holding:
        detail = f"images in sub-folders are passed over ({_counted(holding)}): give such a folder to use them"
        yield Quarantined(str(folder), STAGE, "sub_folders", detail)
    for link in again:
        yield Quarantined(str(link), STAGE, "linked_again", f"is a link to {link.resolve()}, which is read already")


def _counted(holding: dict[Path, int]) -> str:
    shown = [f"{folder.name}: {count}" for folder, count in list(holding.items())[:_SHOWN]]
    return ", ".join(shown + ["..."] * (len(holding) > _SHOWN))
