"""Fetching a data set from its repository or its address, where its authors give it out that way."""

import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import urlparse

from sigforge.core.download import RemoteFile, download
from sigforge.core.errors import UserError
from sigforge.dataset.catalogue.entry import CatalogueEntry


def get_dataset(entry: CatalogueEntry, folder: Path) -> str:
    """Fetch a data set into ``folder``; returns a sentence on what is there. A rerun goes on.

    Args:
        entry: of the catalogue.
        folder: where it goes.

    Raises:
        UserError: only a person can get it, the connection breaks off, or it is not what was promised.
    """
    if entry.get.git:
        return _clone(entry, folder)
    if entry.get.url:
        return _fetch(entry, folder)
    raise UserError(f"{entry.title} cannot be fetched by a program ({entry.by_hand}): get it from {entry.home}")


def _clone(entry: CatalogueEntry, folder: Path) -> str:
    """A clone beside ``folder`` becomes it when it is whole; git itself goes on with objects that are there."""
    if folder.exists():
        raise UserError(f"{folder}: exists already: import it, or give another folder")
    part = folder.with_name(f".{folder.name}.part")
    if not (part / ".git").exists():
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _git(entry, part, "init", "--quiet")
        _git(entry, part, "remote", "add", "origin", entry.get.git)
    _git(entry, part, "fetch", "--quiet", "origin")
    _git(entry, part, "checkout", "--quiet", "--force", entry.get.commit or _default_branch(entry, part))
    commit = _git(entry, part, "rev-parse", "HEAD")
    part.rename(folder)
    return f"{folder}: {entry.get.git} at {commit[:12]}"


def _default_branch(entry: CatalogueEntry, folder: Path) -> str:
    told = _git(entry, folder, "ls-remote", "--symref", "origin", "HEAD")
    return "origin/" + told.split()[1].removeprefix("refs/heads/")


def _git(entry: CatalogueEntry, folder: Path, *command: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(f"{entry.title} lies in a git repository: install git") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["git failed"])[-1]
        raise UserError(f"{entry.get.git}: {reason}: check network and address, then run again")
    return done.stdout.strip()


def _fetch(entry: CatalogueEntry, folder: Path) -> str:
    archive = folder / Path(urlparse(entry.get.url).path).name
    sha256 = download(RemoteFile(entry.get.url, entry.get.sha256 or None), archive)
    _unpack(archive, folder)
    checked = "as published" if entry.get.sha256 else "which nobody has published: note it"
    return f"{folder}: {archive.name} unpacked; sha256 {sha256}, {checked}"


def _unpack(archive: Path, folder: Path) -> None:
    """Members that would lie outside of ``folder`` are refused by both formats' own filters."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as packed:
                packed.extractall(folder, filter="data")
        else:
            raise UserError(f"{archive}: neither zip nor tar: unpack it by hand")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise UserError(f"{archive}: cannot be unpacked ({error}): remove it and run again") from error
