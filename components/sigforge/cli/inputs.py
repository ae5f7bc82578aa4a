"""What commands are given to work on: two files, or two folders matched by stem; and how trouble with one is told."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sigforge.core.errors import ImageError, UserError
from sigforge.core.escape import escape_terminal
from sigforge.dataset.contents import contents
from sigforge.dataset.sources.folders import pair_folders
from sigforge.dataset.tables import Quarantined
from sigforge.dataset.tasks import MODALITIES


@dataclass(frozen=True)
class FilePair:
    """Two source files and the stem they share, or that of the first."""

    name: str
    a: str
    b: str


def match(a: Path, b: Path) -> tuple[list[FilePair], list[Quarantined]]:
    """The pair of two files, or the pairs of two folders and the files without a partner.

    Raises:
        UserError: a path is missing, a file is given with a folder, or two folders have nothing in common.
    """
    for path in (a, b):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder: correct the path")
    if a.is_dir() is not b.is_dir():
        raise UserError(f"{a} and {b}: a file and a folder do not pair: give two files or two folders")
    if not a.is_dir():
        return [FilePair(a.stem, str(a), str(b))], []
    # Task, source and licence only label what a manifest would hold.
    task = "vif"
    found, left_out = pair_folders(a, b, task=task, subtask=next(iter(MODALITIES[task])), source="", licence="")
    return [FilePair(Path(pair.a_path).stem, pair.a_path, pair.b_path) for pair in found], left_out


def report_notes(*paths: Path, deep: bool = False) -> None:
    """Say on stderr what else lies in the folders that were given; files among ``paths`` are skipped."""
    for folder in dict.fromkeys(path for path in paths if path.is_dir()):
        for note in contents(folder, deep=deep).notes:
            print(escape_terminal(f"note: {note.path}: {note.detail}"), file=sys.stderr)


def report_left_out(left_out: Iterable[ImageError | Quarantined]) -> None:
    """Say on stderr which files were left out and why."""
    for item in left_out:
        line = escape_terminal(f"left out: {item.path}: {item.reason}: {item.detail}")
        # On a terminal a progress line may stand there, which a shorter one would not cover.
        print(f"\r{line:<100}" if sys.stderr.isatty() else line, file=sys.stderr)
