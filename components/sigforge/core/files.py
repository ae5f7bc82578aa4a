"""The one door for durable writes, and the hashes that name what was written.

A reader never meets half a file: bytes go to a hidden temporary beside the target, are flushed to the disk, and take
the final name in one rename. A process killed half-way leaves the old file as it was, and a hidden temporary at most.
What goes to a bucket is made in a nameless local file and uploaded whole.
"""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sigforge.core.errors import NameRefused, UserError
from sigforge.core.storage import Place, RemotePath

_NAME_BYTES = 255
_FULL = "disk full while writing {path}: free space or point 'data' elsewhere; finished work is kept"
_FORBIDDEN = "{file}: permission denied: change its owner or mode, or point 'data' elsewhere"
_MISPLACED = "{path}: cannot be written: a file stands where a folder is needed, or a folder where the file goes"
_MISNAMED = "{path}: this file system takes no such name ({reason}): shorten or simplify it, or write elsewhere"
_MENDABLE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _FORBIDDEN),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST, errno.EISDIR), _MISPLACED),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.EILSEQ), _MISNAMED),
}


@contextmanager
def atomic_path(path: str | Place, *, keep_suffix: bool = False) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` when the block ends well, and vanishes when it does not.

    Args:
        path: the final file or object; its folder is made if needed.
        keep_suffix: name the temporary ``.x.<random>.tmp.png`` rather than ``.x.png.<random>.tmp``, for a writer that
            chooses its format by the extension; of no effect on a remote path.

    Raises:
        UserError: the disk is full, the folder or file may not be written, a file stands in a folder's place, or the
            server of a remote path cannot be reached or refuses.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "numbers.txt") as temporary:
        ...     _ = temporary.write_text("1 2 3")
        >>> [file.name for file in folder.iterdir()]
        ['numbers.txt']
    """
    if isinstance(path, RemotePath):
        with path.replaced() as temporary:
            yield temporary
        return
    path = Path(path)
    temporary = path.with_name(_temporary_name(path, keep_suffix))
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomic(path: str | Place, data: bytes | str) -> None:
    """Write a whole file durably; text is stored as UTF-8 with its line ends untouched.

    Raises:
        UserError: as :func:`atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def sha256_bytes(data: bytes) -> str:
    """Hex sha256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file's content, read in blocks so that memory stays flat."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """JSON with one spelling per value: keys sorted, no spaces, non-finite numbers refused.

    Raises:
        TypeError: something JSON cannot hold.
        ValueError: a NaN or an infinity.

    Example:
        >>> canonical_json({"b": [1, 2.5], "a": None})
        '{"a":null,"b":[1,2.5]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(value: object) -> str:
    """Hex sha256 of the canonical JSON of ``value``: equal configurations, equal hashes."""
    return sha256_bytes(canonical_json(value).encode())


def fingerprint(paths: Iterable[Any]) -> str:
    """Hex sha256 over the names and contents of several files, whatever their order and folder.

    Raises:
        FileNotFoundError: one of them does not exist.
    """
    return hash_of(sorted((Path(path).name, sha256_file(path)) for path in paths))


def _temporary_name(path: Path, keep_suffix: bool) -> str:
    """Beside the target, and no longer than file systems allow."""
    token = secrets.token_hex(4)
    ends = f".{token}.tmp{path.suffix}" if keep_suffix else f".{token}.tmp"
    stem = os.fsencode(path.stem if keep_suffix else path.name)[: _NAME_BYTES - 1 - len(os.fsencode(ends))]
    return f".{stem.decode(errors='ignore')}{ends}"


def _sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the failures a person can mend into a UserError; anything else stays as it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        text = _MENDABLE[error.errno].format(path=path, file=error.filename or path, reason=error.strerror)
        kind = NameRefused if _MENDABLE[error.errno] is _MISNAMED else UserError
        raise kind(text) from error
