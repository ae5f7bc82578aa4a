"""A release to the Hugging Face Hub: one commit, and a tag of the version.

Large files go first, one by one, and the Hub keeps what has come: after a cut a rerun sends only the others. The
commit is the last step, so that nobody sees a part for the whole.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sigforge.core.errors import UserError
from sigforge.release.layout import SUMS
from sigforge.release.targets.sending import ReleaseParcel, Say, refuse_other

if TYPE_CHECKING:
    from huggingface_hub import HfApi

KIND = "dataset"
_OURS = (TypeError, AttributeError, KeyError, NameError, AssertionError)
"""Faults of this code, which keep their traceback."""


@dataclass(frozen=True)
class HubTarget:
    """``OWNER/NAME``; the token is that of ``HF_TOKEN`` or of the Hub's own login."""

    repository: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository):
            raise UserError(f"hf://datasets/{self.repository}: give OWNER/NAME")

    def steps(self, parcel: ReleaseParcel) -> Sequence[str]:
        """See :class:`sigforge.release.targets.sending.ReleaseTarget`."""
        return [
            f"create the dataset {self.repository} on the Hub, if it is not there",
            f"one commit {_message(parcel)!r} that adds these files and removes those of earlier versions",
            f"tag v{parcel.title.version}:",
        ]

    def send(self, parcel: ReleaseParcel, say: Say) -> str:
        """Upload, commit and tag.

        Raises:
            UserError: huggingface_hub is not installed, the token lacks a right, the version is there with other files,
                or the connection breaks off.
        """
        api = _api()
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        where, tag = f"hf://datasets/{self.repository}", f"v{parcel.title.version}"
        with _explained(where):
            api.create_repo(self.repository, repo_type=KIND, exist_ok=True)
            tags = {one.name for one in api.list_repo_refs(self.repository, repo_type=KIND).tags}
        if tag in tags and refuse_other(self._sums(tag), parcel, where):
            return f"{where}@{tag}: is there already"
        additions = [CommitOperationAdd(file.name, str(file.path)) for file in parcel.files]
        for one in additions:
            with _explained(where):
                api.preupload_lfs_files(self.repository, [one], repo_type=KIND)
            say(one.path_in_repo)
        with _explained(where):
            there = set(api.list_repo_files(self.repository, repo_type=KIND)) - {".gitattributes"}
            gone = sorted(there - {file.name for file in parcel.files})
            operations: list[Any] = [*additions, *(CommitOperationDelete(name) for name in gone)]
            made = api.create_commit(self.repository, operations, commit_message=_message(parcel), repo_type=KIND)
            api.create_tag(self.repository, tag=tag, revision=made.oid, repo_type=KIND)
        return f"{where}@{tag}: {len(parcel.files)} files"

    def _sums(self, tag: str) -> bytes:
        from sigforge.release.pull import source_of

        return source_of(f"hf://datasets/{self.repository}@{tag}").read(SUMS)


def _message(parcel: ReleaseParcel) -> str:
    return f"{parcel.title.name} {parcel.title.version}"


def _api() -> "HfApi":
    import os

    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise UserError("the Hub needs huggingface_hub: pip install 'sigforge[release]'") from error
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"))


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn the Hub's errors into one line; its messages name addresses, never a token."""
    try:
        yield
    except (UserError, *_OURS):
        raise
    except Exception as error:
        code = next((code for one in _causes(error) if (code := _status(one))), None)
        if code in (401, 403):
            mend = "log in with 'hf auth login' or set HF_TOKEN, with the right to write"
            raise UserError(f"{where}: access refused ({code}): {mend}") from None
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{where}: broke off ({reason}): run again, what has come is kept") from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)
