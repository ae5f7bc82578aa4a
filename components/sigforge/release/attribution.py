"""Whom a release has to name: one row per photograph that a pair was made from."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from sigforge.core.errors import UserError
from sigforge.dataset.tables import Photo
from sigforge.release.contents import HeldShard
from sigforge.release.terms import needs_author, refusal
from sigforge.shards.layout import AGAIN
from sigforge.shards.pairs import member, opened

CREDITS = pa.schema(
    [
        pa.field("photo_id", pa.string(), nullable=False),
        pa.field("photo_sha256", pa.string(), nullable=False),
        pa.field("author", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("licence_url", pa.string(), nullable=False),
        pa.field("changes", pa.string(), nullable=False),
        pa.field("pairs", pa.int32(), nullable=False),
    ],
    metadata={"key": "photo_id"},
)


@dataclass(frozen=True)
class PhotoCredit:
    """A photograph, its author and terms, what was changed, and how many pairs show it."""

    photo_id: str
    photo_sha256: str
    author: str
    source: str
    licence: str
    licence_url: str
    changes: str
    pairs: int


def credits_of(
    shards: Iterable[HeldShard], photos: Mapping[str, Photo] | None = None, *, author: str = ""
) -> list[PhotoCredit]:
    """The photographs behind the pairs of shards, by id.

    Args:
        shards: finished ones.
        photos: the manifest by photo_id; without it, ``attribution`` of the samples is taken apart.
        author: of photographs that name none.

    Raises:
        UserError: a shard is cut or altered, or its facts lack something.
    """
    found: dict[str, PhotoCredit] = {}
    for name, facts in facts_of(shards):
        try:
            photo_id = str(facts["photo_id"])
            known = found.get(photo_id) or _credit(facts, (photos or {}).get(photo_id), author)
        except KeyError as error:
            raise UserError(f"{name}.json: lacks {error}, so nobody can be credited: {AGAIN}") from None
        found[photo_id] = replace(known, pairs=known.pairs + 1)
    return [found[photo_id] for photo_id in sorted(found)]


def check_credits(credits: Sequence[PhotoCredit], excluded: Sequence[str] = ()) -> None:
    """Stop if pairs of a photograph may not be given away, or its author is not known.

    Raises:
        UserError: naming the first such photograph and how many there are.
    """
    problems = [(credit, problem) for credit in credits if (problem := _problem(credit, excluded))]
    if problems:
        credit, problem = problems[0]
        more = f" (and {len(problems) - 1} more photographs)" if len(problems) > 1 else ""
        raise UserError(f"photograph {credit.photo_id!r}: {problem}{more}: leave such photographs out, or mend this")


def facts_of(shards: Iterable[HeldShard]) -> Iterator[tuple[str, dict[str, object]]]:
    """A name for errors and the facts of every good sample, in order.

    Raises:
        UserError: a shard is cut or altered.
    """
    for shard in shards:
        tar = shard.path.tar
        with opened(tar) as file:
            for row in (row for row in shard.rows if row["status"] == "ok"):
                yield f"{tar}: {row['key']}", json.loads(member(file, tar, row, "json"))


def _credit(facts: Mapping[str, object], photo: Photo | None, author: str) -> PhotoCredit:
    named, source = (photo.author, photo.source) if photo else _taken_apart(facts)
    terms = str(facts["licence"]), str(facts["licence_url"])
    return PhotoCredit(
        str(facts["photo_id"]), str(facts["photo_sha256"]), named or author, source, *terms, _changes(facts), 0
    )


def _taken_apart(facts: Mapping[str, object]) -> tuple[str, str]:
    """Author and source: they were joined by a comma, and photo ids begin with the source."""
    text = str(facts["attribution"])
    rest, _, last = text.rpartition(", ")
    return (rest, last) if str(facts["photo_id"]).startswith(f"{last}-") else (text, "")


def _changes(facts: Mapping[str, object]) -> str:
    return f"squares cut out and scaled; two images ({facts['subtask']}) made of each by a learned signal modulation"


def _problem(credit: PhotoCredit, excluded: Sequence[str]) -> str:
    if reason := refusal(credit.licence, excluded):
        return f"its licence {credit.licence!r} {reason}"
    if not credit.author and needs_author(credit.licence):
        return f"its licence {credit.licence!r} asks for its author, who is not known"
    return "" if credit.author or credit.source else "neither its author nor its source is known"
