"""Where shards lie: a local folder, or a prefix in an S3 bucket, behind the few operations of a path that shards need.

An object is visible in a bucket once all of it has arrived, so what a rename is to a local file, the end of the upload
is to a remote one. Credentials, region and endpoint are found as by every AWS tool: ``AWS_PROFILE``,
``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``...; ``AWS_MAX_ATTEMPTS`` says how often a lost connection is tried again.
"""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from sigforge.core.errors import UserError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

S3 = "s3://"
PART = 16 << 20
"""Bytes per part of an upload, and per request of a reader."""
PARTS_AT_ONCE = 4


class RemoteError(UserError):
    """The server cannot be reached, refuses, or lacks the bucket; nothing is said about a single object."""


@dataclass(frozen=True, order=True)
class RemotePath:
    """An object in a bucket, or a prefix taken as a folder; used like a :class:`pathlib.Path`.

    Every method that asks the server raises RemoteError when it cannot be reached, refuses, or lacks the bucket.
    """

    place: PurePosixPath

    def __str__(self) -> str:
        return f"{S3}{self.place}"

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.place / name)

    @property
    def name(self) -> str:
        """The last part."""
        return self.place.name

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return self.place.stem

    @property
    def suffix(self) -> str:
        """``.tar`` and the like."""
        return self.place.suffix

    def with_suffix(self, suffix: str) -> "RemotePath":
        """The same place with another suffix."""
        return RemotePath(self.place.with_suffix(suffix))

    def iterdir(self) -> Iterator["RemotePath"]:
        """Objects directly under this prefix; none if there is no such prefix."""
        with _explained(self):
            try:
                entries = _s3().ls(str(self.place), detail=True)
            except FileNotFoundError:
                _require_bucket(self)
                entries = []
        names = (PurePosixPath(entry["name"]) for entry in entries if entry["type"] == "file")
        return iter([RemotePath(name) for name in names if name.parent == self.place])

    def glob(self, pattern: str) -> Iterator["RemotePath"]:
        """Objects directly under this prefix whose name matches."""
        return (path for path in self.iterdir() if fnmatchcase(path.name, pattern))

    def is_dir(self) -> bool:
        """Whether an object lies under this prefix."""
        return any(self.iterdir())

    def exists(self) -> bool:
        """Whether there is such an object."""
        return size_of(self) is not None

    def open(self, mode: str = "rb") -> "_Reader":
        """Open for reading: block after block, with little in memory.

        Raises:
            FileNotFoundError: no such object.
        """
        with _explained(self):
            return _Reader(_s3().open(str(self.place), mode, block_size=PART, cache_type="readahead"), self)

    def read_bytes(self) -> bytes:
        """The whole object.

        Raises:
            FileNotFoundError: no such object.
        """
        with _explained(self):
            data: bytes = _s3().cat_file(str(self.place))
            return data

    def read_text(self) -> str:
        """The whole object as UTF-8."""
        return self.read_bytes().decode()

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the object.

        Raises:
            FileNotFoundError: no such object, and not ``missing_ok``.
        """
        if not missing_ok and not self.exists():
            raise FileNotFoundError(errno.ENOENT, "no such object", str(self))
        with _explained(self), _bucket_required(self):
            _s3().rm_file(str(self.place))

    @contextmanager
    def replaced(self) -> Iterator[Path]:
        """Yield a local temporary path whose content is uploaded when the block ends well.

        Raises:
            UserError: the disk of temporary files is full.
        """
        # A file without a name: nothing is left to be swept up after 'kill -9'.
        with _room_required(), tempfile.TemporaryFile(prefix="sigforge-") as file:
            temporary = Path(f"/dev/fd/{file.fileno()}")
            yield temporary
            with _explained(self), _bucket_required(self):
                _s3().put_file(str(temporary), str(self.place), chunksize=PART, max_concurrency=PARTS_AT_ONCE)


Place = Path | RemotePath


def place(text: str | Path) -> Place:
    """The local path or S3 address that a person has typed.

    Raises:
        UserError: an address of another kind or without a bucket, or ``s3fs`` is not installed.

    Example:
        >>> place("data/synth"), place("s3://bucket/synth/vif").name
        (PosixPath('data/synth'), 'vif')
    """
    return remote(str(text)) if "://" in str(text) else Path(text)


def remote(text: str) -> RemotePath:
    """An S3 address that a person has typed.

    Raises:
        UserError: an address of another kind or without a bucket, or ``s3fs`` is not installed.
    """
    if not text.startswith(S3) or not text.removeprefix(S3).strip("/"):
        raise UserError(f"{text}: not a place for shards: give a local folder or {S3}bucket/prefix")
    _s3()
    return RemotePath(PurePosixPath(text.removeprefix(S3).strip("/")))


def check_reachable(folder: Place) -> None:
    """Stop before work begins if a remote folder cannot be reached.

    Raises:
        RemoteError: as told for :class:`RemotePath`.
    """
    if isinstance(folder, RemotePath):
        folder.is_dir()


def size_of(path: Place) -> int | None:
    """Bytes of a file or object; None if there is none."""
    try:
        if isinstance(path, Path):
            return path.stat().st_size
        with _explained(path):
            entry = _s3().info(str(path.place))
    except FileNotFoundError:
        return None
    return entry["size"] if entry["type"] == "file" else None


def upload(source: Path, target: RemotePath, *, sha256: str) -> None:
    """Upload a file; the object carries its sha256 and is visible when all of it has arrived.

    Args:
        source: local file.
        target: object.
        sha256: of the file, hex.

    Raises:
        RemoteError: as told for :class:`RemotePath`.
    """
    options = {"chunksize": PART, "max_concurrency": PARTS_AT_ONCE, "Metadata": {"sha256": sha256}}
    with _explained(target), _bucket_required(target):
        _s3().put_file(str(source), str(target.place), **options)


def stored_sha256(path: RemotePath) -> str | None:
    """The sha256 that an object carries since :func:`upload`; None if it carries none, or is not there.

    Raises:
        RemoteError: as told for :class:`RemotePath`.
    """
    try:
        with _explained(path):
            found: str | None = _s3().metadata(str(path.place), refresh=True).get("sha256")
            return found
    except FileNotFoundError:
        return None


@contextmanager
def fetched(path: Place) -> Iterator[Path]:
    """Yield a local file with the bytes of ``path``: itself, or a copy that is gone afterwards.

    Raises:
        FileNotFoundError: no such object.
        UserError: the disk of temporary files is full.
    """
    if isinstance(path, Path):
        yield path
        return
    with _room_required(), tempfile.TemporaryFile(prefix="sigforge-") as file, path.open() as remote:
        while block := remote.read(PART):
            file.write(block)
        file.flush()
        yield Path(f"/dev/fd/{file.fileno()}")


def remove_leftovers(folder: Place) -> None:
    """Remove what a killed run left half-written in a folder: temporary files, or unfinished uploads."""
    if isinstance(folder, Path):
        for leftover in folder.glob(".*.tmp*"):
            leftover.unlink()
        return
    bucket, *parts = folder.place.parts
    prefix = "".join(f"{part}/" for part in parts)
    with _explained(folder), _bucket_required(folder), suppress(PermissionError):  # a right that few grant
        uploads = _s3().call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix).get("Uploads", [])
        for upload in (each for each in uploads if "/" not in each["Key"].removeprefix(prefix)):
            _s3().call_s3("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


class _Reader:
    """An open object whose failures are told in one line."""

    def __init__(self, file: BinaryIO, path: RemotePath) -> None:
        self.file, self.path = file, path

    def read(self, size: int = -1) -> bytes:
        with _explained(self.path):
            return self.file.read(size)

    def seek(self, position: int) -> int:
        return self.file.seek(position)

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()


def _s3() -> "AbstractFileSystem":
    """One per process and thread; listings are never cached, since other processes write as well."""
    try:
        import fsspec
        import s3fs  # noqa: F401
    except ImportError as error:
        raise UserError(f"{S3} needs s3fs: pip install 'sigforge[s3]', or give a local folder") from error
    return fsspec.filesystem("s3", use_listings_cache=False)


@contextmanager
def _explained(path: RemotePath) -> Iterator[None]:
    """Turn what S3 raises into a UserError, but for a missing object, which callers know how to take."""
    try:
        yield
    except (UserError, FileNotFoundError):
        raise
    except Exception as error:
        raise _explanation(path, error) from error


def _explanation(path: RemotePath, error: Exception) -> Exception:
    """Its causes are classes of four libraries, so all but programming errors count as the connection's."""
    if isinstance(error, PermissionError) or type(error).__name__.endswith("CredentialsError"):
        mend = "check the access key or profile (AWS_ACCESS_KEY_ID, AWS_PROFILE) and its rights, then run again"
        return RemoteError(f"{path}: access refused ({error}): {mend}")
    if type(error).__module__ == "builtins" and not isinstance(error, OSError):
        return error
    mend = "check the network and AWS_ENDPOINT_URL, then run again; finished work is kept"
    return RemoteError(f"{path}: S3 does not answer, or broke off ({error}): {mend}")


@contextmanager
def _bucket_required(path: RemotePath) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RemoteError(f"{S3}{path.place.parts[0]}: no such bucket: create it, or correct the address") from error


def _require_bucket(path: RemotePath) -> None:
    with _bucket_required(path):
        _s3().call_s3("head_bucket", Bucket=path.place.parts[0])


@contextmanager
def _room_required() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = tempfile.gettempdir()
        raise UserError(f"{where}: disk full: shards for S3 are made there first; free space or set TMPDIR") from error
