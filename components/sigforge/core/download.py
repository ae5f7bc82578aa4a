"""Downloads that go on where they were cut, and are nobody's until every byte is as promised."""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file

BLOCK = 1 << 20
TRIES = 4
"""Times that a connection which broke off is taken up again at once; after that the user is asked to run again."""
TIMEOUT_SECONDS = 30
_CUT = (http.client.IncompleteRead, ConnectionError, TimeoutError)
_BUSY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class RemoteFile:
    """What is fetched.

    Attributes:
        url: ``http://`` or ``https://``.
        sha256: hex; None if nobody has published one.
        headers: sent along, such as an authorisation; never printed.
    """

    url: str
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def download(remote: RemoteFile, path: Path, *, on_bytes: Callable[[int], None] = lambda count: None) -> str:
    """Fetch a file to ``path``, which appears when all of it is there; ``.part`` beside it is what to go on from.

    Args:
        remote: what is fetched.
        path: where it goes; a file that is there with the promised sha256 is left alone.
        on_bytes: called with the bytes that have come since the last call.

    Returns:
        The hex sha256 of the file.

    Raises:
        UserError: the server cannot be reached, refuses, lacks the file, breaks off, or sends other bytes.
    """
    if path.exists() and remote.sha256 in (None, found := sha256_file(path)):
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    for attempt in range(TRIES):
        try:
            _continue(remote, part, on_bytes)
            break
        except _CUT as error:
            if attempt == TRIES - 1:
                raise _broken(remote, error) from error
            time.sleep(0.2 * 2**attempt)
    found = sha256_file(part)
    if remote.sha256 not in (None, found):
        part.unlink()
        raise UserError(f"{remote.url}: sha256 {found[:12]}... is not the promised {remote.sha256[:12]}...: run again")
    os.replace(part, path)
    return found


def read_url(remote: RemoteFile) -> bytes:
    """A small file, whole.

    Raises:
        UserError: as :func:`download`.
    """
    try:
        with _open(remote, 0) as answer:
            data = answer.read()
    except _CUT as error:
        raise _broken(remote, error) from error
    if remote.sha256 not in (None, hashlib.sha256(data).hexdigest()):
        raise UserError(f"{remote.url}: its sha256 is not the promised one: run again")
    return data


def _continue(remote: RemoteFile, part: Path, on_bytes: Callable[[int], None]) -> None:
    start = part.stat().st_size if part.exists() else 0
    with _open(remote, start) as answer:
        if start and answer.status != http.client.PARTIAL_CONTENT:
            start = 0  # this server sends the whole again
        with part.open("ab" if start else "wb") as file:
            _copy(answer, file, on_bytes)


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, on_bytes: Callable[[int], None]) -> None:
    expected = answer.length
    received = 0
    while block := answer.read(BLOCK):
        file.write(block)
        received += len(block)
        on_bytes(len(block))
    if expected is not None and received < expected:
        raise ConnectionError(f"{received} of {expected} bytes came")


def _open(remote: RemoteFile, start: int) -> http.client.HTTPResponse:
    if not remote.url.startswith(("http://", "https://")):
        raise UserError(f"{remote.url}: not an address: give http:// or https://")
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={start}-"} if start else {})
    for name, value in remote.headers.items():
        request.add_unredirected_header(name, value)  # a token is for this server, not for where it may send us
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        return answer
    except urllib.error.HTTPError as error:
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _open(remote, 0)
        if error.code in _BUSY:
            raise ConnectionError(f"the server is busy, {error.code}") from error
        raise UserError(f"{remote.url}: {_meaning(error.code)}") from error
    except urllib.error.URLError as error:
        raise UserError(f"{remote.url}: cannot be reached ({error.reason}): check address and network") from error


def _meaning(code: int) -> str:
    if code in (401, 403):
        return f"access refused ({code}): check the token and its rights"
    return f"no such file ({code}): correct the address" if code == 404 else f"the server refuses ({code})"


def _broken(remote: RemoteFile, error: Exception) -> UserError:
    return UserError(f"{remote.url}: broke off ({error}): run again, what has come is kept")
