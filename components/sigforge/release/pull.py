"""Fetching a release: its checksums first, then file by file, each checked; a rerun goes on where it was cut."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlparse

from sigforge.core.download import RemoteFile, download, read_url
from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file, write_atomic
from sigforge.core.storage import PART, S3, RemotePath, remote
from sigforge.release.checksums import read_sums
from sigforge.release.layout import SUMS
from sigforge.release.verify import verify_release

HUB = "hf://datasets/"
ZENODO = "zenodo:"
HUB_URL, ZENODO_URL = "https://huggingface.co", "https://zenodo.org"


@dataclass(frozen=True)
class ReleaseSource:
    """Where the files of a release are got.

    Attributes:
        name: of the folder that is made of it, unless another is asked for.
        read: the bytes of a small file.
        fetch: a file to a path, with the sha256 that it must have; goes on where it was cut.
    """

    name: str
    read: Callable[[str], bytes]
    fetch: Callable[[str, Path, str], object]


def pull(address: str, folder: Path | None = None, *, on_file: Callable[[str], None] = lambda name: None) -> Path:
    """Fetch a whole release and check it; returns its folder.

    Args:
        address: ``https://...`` of a folder, ``s3://bucket/prefix``, ``hf://datasets/OWNER/NAME[@REVISION]`` or
            ``zenodo:RECORD``.
        folder: where it goes; the release's name here by default.
        on_file: called with the name of every file that is there.

    Raises:
        UserError: the address leads to no release, the connection breaks off (run again), or bytes are not as
            promised.
    """
    source = source_of(address)
    folder = folder or Path(source.name)
    sums_bytes = source.read(SUMS)
    sums = read_sums(sums_bytes, f"{address}/{SUMS}")
    if folder.exists():
        return _already(folder, sums_bytes)
    parts = folder.with_name(f".{folder.name}.part")
    parts.mkdir(parents=True, exist_ok=True)
    for name, sha256 in sums.items():
        source.fetch(name, parts / name, sha256)
        on_file(name)
    for stray in {path.name for path in parts.iterdir()} - set(sums):  # of another version, once begun
        (parts / stray).unlink()
    write_atomic(parts / SUMS, sums_bytes)
    if problems := verify_release(parts).problems:
        shutil.rmtree(parts)
        raise UserError(f"{address}: {problems[0]}: this release is damaged where it lies")
    os.replace(parts, folder)
    return folder


def _already(folder: Path, sums: bytes) -> Path:
    there = folder / SUMS
    if not there.exists() or there.read_bytes() != sums:
        raise UserError(f"{folder}: exists and is not this release: give another --out")
    if problems := verify_release(folder).problems:
        raise UserError(f"{problems[0]}: remove {folder} and pull again")
    return folder


def source_of(address: str) -> ReleaseSource:
    """The files behind an address.

    Raises:
        UserError: it is none that is known.
    """
    if address.startswith(S3):
        return _bucket(remote(address))
    if address.startswith(HUB):
        name, _, revision = address.removeprefix(HUB).strip("/").partition("@")
        endpoint = os.environ.get("HF_ENDPOINT", HUB_URL).rstrip("/")
        return _web(f"{endpoint}/datasets/{name}/resolve/{revision or 'main'}", name.rsplit("/", 1)[-1], _hub_token())
    if address.startswith(ZENODO):
        record = address.removeprefix(ZENODO)
        base = os.environ.get("ZENODO_URL", ZENODO_URL).rstrip("/")
        return _web(f"{base}/records/{record}/files", f"zenodo-{record}", {})
    if address.startswith(("http://", "https://")):
        return _web(address.rstrip("/"), Path(urlparse(address).path).name or "release", {})
    raise UserError(f"{address}: not an address: give https://, s3://, {HUB}OWNER/NAME or {ZENODO}RECORD")


def _web(base: str, name: str, headers: dict[str, str]) -> ReleaseSource:
    def remote(file: str, sha256: str | None = None) -> RemoteFile:
        return RemoteFile(f"{base}/{quote(file)}", sha256, headers)

    return ReleaseSource(
        name,
        read=lambda file: read_url(remote(file)),
        fetch=lambda file, path, sha256: download(remote(file, sha256), path),
    )


def _bucket(folder: RemotePath) -> ReleaseSource:
    def read(file: str) -> bytes:
        try:
            return (folder / file).read_bytes()
        except FileNotFoundError:
            raise UserError(f"{folder / file}: no such file: {folder} is no release") from None

    def fetch(file: str, path: Path, sha256: str) -> None:
        if path.exists() and sha256_file(path) == sha256:
            return
        part = path.with_name(f"{path.name}.part")
        start = part.stat().st_size if part.exists() else 0
        with (folder / file).open() as remote, part.open("ab") as here:
            remote.seek(start)
            while block := remote.read(PART):
                here.write(block)
        if sha256_file(part) != sha256:
            part.unlink()
            raise UserError(f"{folder / file}: its sha256 is not the promised one: run again")
        os.replace(part, path)

    return ReleaseSource(folder.name, read, fetch)


def _hub_token() -> dict[str, str]:
    """Authorisation for the Hub, from the environment or its own login; empty without."""
    try:
        from huggingface_hub import get_token
    except ImportError:
        token = os.environ.get("HF_TOKEN")
    else:
        token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}
