"""A release into another folder of this machine."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.release.layout import SUMS
from sigforge.release.targets.sending import ReleaseParcel, Say, refuse_other
from sigforge.release.verify import verify_release


@dataclass(frozen=True)
class FolderTarget:
    """``root/NAME-VERSION``; hard links where both lie on one file system."""

    root: Path

    def steps(self, parcel: ReleaseParcel) -> Sequence[str]:
        """See :class:`sigforge.release.targets.sending.ReleaseTarget`."""
        return [f"copy to {self.root / parcel.title.folder}/ :"]

    def send(self, parcel: ReleaseParcel, say: Say) -> str:
        """Copy under another name, check, and rename.

        Raises:
            UserError: the version is there with other files, or the copy is not whole.
        """
        target = self.root / parcel.title.folder
        part = self.root / f".{parcel.title.folder}.part"
        sums = (target / SUMS).read_bytes() if (target / SUMS).exists() else None
        if refuse_other(sums, parcel, target):
            return f"{target}: is there already"
        if target.exists():
            raise UserError(f"{target}: exists and is no release: remove it, or give another folder")
        part.mkdir(parents=True, exist_ok=True)
        for file in parcel.files:
            if not ((part / file.name).exists() and (part / file.name).stat().st_size == file.size):
                _copy(file.path, part / file.name)
            say(file.name)
        if problems := verify_release(part).problems:
            shutil.rmtree(part)
            raise UserError(f"{problems[0]}: the copy is not whole: run again")
        os.replace(part, target)
        return f"{target}: {len(parcel.files)} files"


def _copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
