"""Sending a release: what is checked before, what would be sent, and which target an address means."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_bytes
from sigforge.release.checksums import read_sums
from sigforge.release.layout import PROVENANCE, SUMS, ReleaseTitle
from sigforge.release.pull import HUB, ZENODO
from sigforge.release.verify import verify_release

Say = Callable[[str], object]


@dataclass(frozen=True)
class ReleaseFile:
    """One file to be sent."""

    path: Path
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """In the release."""
        return self.path.name


@dataclass(frozen=True)
class ReleaseParcel:
    """A release that may be sent.

    Attributes:
        folder: where it lies.
        title: name and version.
        files: all of them; SHA256SUMS is the last, and what is sent last makes a release whole.
    """

    folder: Path
    title: ReleaseTitle
    files: tuple[ReleaseFile, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files)


class ReleaseTarget(Protocol):
    """Where a release goes."""

    def steps(self, parcel: ReleaseParcel) -> Sequence[str]:
        """What sending does, in order, beside the files; nothing is asked or changed."""

    def send(self, parcel: ReleaseParcel, say: Say) -> str:
        """Send what is not there yet; returns where the release can be found."""


def pack(folder: Path) -> ReleaseParcel:
    """A release, checked byte by byte.

    Raises:
        UserError: it is none, is altered, or is a draft.
    """
    if problems := verify_release(folder).problems:
        raise UserError(f"{problems[0]}: nothing was sent")
    facts = json.loads((folder / PROVENANCE).read_bytes())
    title = ReleaseTitle(facts["name"], facts["version"])
    if title.draft:
        raise UserError(f"{folder}: version {title.version} is a draft: give it a version without -dev first")
    sums = (folder / SUMS).read_bytes()
    files = [ReleaseFile(folder / name, _size(folder / name), sha) for name, sha in sorted(_all(sums).items())]
    return ReleaseParcel(folder, title, tuple(sorted(files, key=lambda file: file.name == SUMS)))


def target_of(address: str) -> ReleaseTarget:
    """The target that an address means.

    Args:
        address: a folder, ``s3://bucket/prefix``, ``hf://datasets/OWNER/NAME``, ``zenodo:new``, or
            ``zenodo:DEPOSIT`` for a new version of one.

    Raises:
        UserError: a library is missing, or the address is incomplete.
    """
    from sigforge.core.storage import S3, remote
    from sigforge.release.targets.bucket import BucketTarget
    from sigforge.release.targets.folder import FolderTarget

    if address.startswith(HUB):
        from sigforge.release.targets.hub import HubTarget

        return HubTarget(address.removeprefix(HUB).strip("/"))
    if address.startswith(ZENODO):
        from sigforge.release.targets.zenodo import ZenodoTarget

        return ZenodoTarget(address.removeprefix(ZENODO))
    if address.startswith(S3):
        return BucketTarget(remote(address))
    if "://" in address:
        raise UserError(f"{address}: not a target: give a folder, s3://, {HUB}OWNER/NAME or {ZENODO}new")
    return FolderTarget(Path(address))


def plan_text(parcel: ReleaseParcel, target: ReleaseTarget) -> str:
    """What would be sent: every file with its bytes and sha256, and the steps around them."""
    lines = [f"{file.size:>14,}  {file.sha256}  {file.name}" for file in parcel.files]
    total = f"{parcel.size:>14,}  bytes in {len(parcel.files)} files of {parcel.title.folder}"
    return "\n".join([*target.steps(parcel), *lines, total, "nothing was sent: --dry-run"])


def refuse_other(sums: bytes | None, parcel: ReleaseParcel, where: object) -> bool:
    """Whether this very release is there already.

    Args:
        sums: SHA256SUMS that the target has for this version; None if it has none.
        parcel: to be sent.
        where: for the error.

    Raises:
        UserError: the version is there with other files.
    """
    if sums is None:
        return False
    if sums != (parcel.folder / SUMS).read_bytes():
        raise UserError(f"{where}: version {parcel.title.version} exists with other files: raise the version")
    return True


def _all(sums: bytes) -> dict[str, str]:
    return read_sums(sums, SUMS) | {SUMS: sha256_bytes(sums)}


def _size(path: Path) -> int:
    return path.stat().st_size
