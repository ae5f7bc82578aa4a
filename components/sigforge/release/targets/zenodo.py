"""A release to Zenodo: a deposit with its files and metadata, left as a draft for a person to publish.

https://developers.zenodo.org: a published deposit can never be taken back, so its last step is not done here. The
title and version of an unfinished deposit say which release it is for: a rerun goes on with it.
"""

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from sigforge.core.errors import UserError
from sigforge.release.layout import CARD
from sigforge.release.pull import ZENODO_URL
from sigforge.release.targets.sending import ReleaseParcel, Say

TOKEN = "ZENODO_TOKEN"
NEW = "new"
TIMEOUT_SECONDS = 60
_CUT = (http.client.HTTPException, ConnectionError, TimeoutError)

Deposit = Mapping[str, Any]


@dataclass(frozen=True)
class ZenodoTarget:
    """``new``, or the number of a published deposit that gets a new version."""

    record: str

    def __post_init__(self) -> None:
        if self.record != NEW and not self.record.isdigit():
            raise UserError(
                f"zenodo:{self.record}: give zenodo:new, or the number of a deposit for a new version of it"
            )

    def steps(self, parcel: ReleaseParcel) -> Sequence[str]:
        """See :class:`sigforge.release.targets.sending.ReleaseTarget`."""
        base = f"{_base()}/api/deposit/depositions"
        first = f"POST {base}" if self.record == NEW else f"POST {base}/{self.record}/actions/newversion"
        return [
            f"{first}, unless an unfinished deposit of this title and version is there",
            f"PUT the metadata: {json.dumps(metadata(parcel), ensure_ascii=False)}",
            "leave it as a draft, for you to publish on its page",
            "PUT to the deposit's bucket:",
        ]

    def send(self, parcel: ReleaseParcel, say: Say) -> str:
        """Make or find the deposit, and upload what it has not yet.

        Raises:
            UserError: no token, a token without the right, the version exists, or the connection breaks off.
        """
        deposits = _call("GET", "/api/deposit/depositions?size=100")
        draft = self._draft(parcel, deposits)
        draft = _call("PUT", f"/api/deposit/depositions/{draft['id']}", {"metadata": metadata(parcel)})
        there = {file["filename"]: file for file in _files(draft)}
        for name in sorted(there.keys() - {file.name for file in parcel.files}):
            _call("DELETE", f"/api/deposit/depositions/{draft['id']}/files/{there[name]['id']}")
        for file in parcel.files:
            if there.get(file.name, {}).get("checksum") != _md5(file.path):
                _put(f"{draft['links']['bucket']}/{quote(file.name)}", file.path)
            say(file.name)
        return f"{draft['links'].get('html', _base())}: {len(parcel.files)} files in a draft; publish it there"

    def _draft(self, parcel: ReleaseParcel, deposits: Sequence[Deposit]) -> Deposit:
        """The unfinished deposit of this release, or a new one."""
        title, version = metadata(parcel)["title"], parcel.title.version
        for deposit in deposits:
            known = deposit.get("metadata", {})
            if (known.get("title"), known.get("version")) == (title, version):
                if deposit.get("submitted"):
                    raise UserError(f"zenodo:{deposit['id']}: version {version} of {title!r} exists: raise the version")
                return deposit
        if self.record == NEW:
            return _call("POST", "/api/deposit/depositions", {})
        made = _call("POST", f"/api/deposit/depositions/{self.record}/actions/newversion")
        return _call("GET", made["links"]["latest_draft"])


def metadata(parcel: ReleaseParcel) -> dict[str, object]:
    """What Zenodo says of the deposit; creators and licence are the publisher's to complete on its page.

    Args:
        parcel: the release.
    """
    facts = json.loads((parcel.folder / "croissant.json").read_text())
    creator = facts.get("creator", {}).get("name", "")
    card = (parcel.folder / CARD).read_text().split("---\n", 2)[-1].strip().split("\n\n")
    return {
        "title": parcel.title.name,
        "version": parcel.title.version,
        "upload_type": "dataset",
        "description": card[1] if len(card) > 1 else parcel.title.name,
        "keywords": facts.get("keywords", []),
        **({"creators": [{"name": creator}]} if creator else {}),
    }


def _files(deposit: Deposit) -> Sequence[Deposit]:
    return _call("GET", f"/api/deposit/depositions/{deposit['id']}/files")


def _put(url: str, path: Path) -> None:
    with path.open("rb") as file:
        answer = _call("PUT", url, file, size=path.stat().st_size)
    found = str(answer.get("checksum", "")).removeprefix("md5:")
    if found and found != _md5(path):
        raise UserError(f"{url}: came with another md5 than it was sent with: run again")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _base() -> str:
    return os.environ.get("ZENODO_URL", ZENODO_URL).rstrip("/")


def _call(method: str, url: str, body: object = None, *, size: int | None = None) -> Any:
    """One request; addresses of other hosts than Zenodo's get no token."""
    token = os.environ.get(TOKEN, "")
    if not token:
        raise UserError(f"Zenodo needs a token with the right to write deposits: set {TOKEN}")
    url = url if "://" in url else f"{_base()}{url}"
    if not url.startswith(f"{_base()}/"):
        raise UserError(f"{url}: is not at {_base()}: nothing is sent there")
    headers: dict[str, str] = {}
    data: bytes | BinaryIO | None
    if size is None:
        data = None if body is None else json.dumps(body).encode()
        headers |= {"Content-Type": "application/json"} if data else {}
    else:
        data = body  # type: ignore[assignment]
        headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise _refused(url, error.code) from None
    except urllib.error.URLError as error:
        raise UserError(f"{url}: broke off ({error.reason}): run again, what has come is kept") from None
    except _CUT as error:
        raise UserError(f"{url}: broke off ({error}): run again, what has come is kept") from None
    return json.loads(text) if text else {}


def _refused(url: str, code: int) -> UserError:
    if code in (401, 403):
        return UserError(f"{url}: access refused ({code}): {TOKEN} needs the rights deposit:write and deposit:actions")
    if code == 404:
        return UserError(f"{url}: no such deposit (404): correct its number")
    return UserError(f"{url}: refused ({code}): run again, what has come is kept")
