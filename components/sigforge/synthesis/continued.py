"""A folder of shards taken up again: photographs that were mended or added come behind those that have a number.

Beside its shards a run leaves the list of its photographs, ``photographs.<hash>.parquet``. A later run with the same
model and options keeps the order of that list, so every sample that was made keeps its number and its bytes; only what
is new, or has changed, is made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sigforge.core.errors import UserError
from sigforge.core.files import hash_of
from sigforge.core.parquet import read_table_bytes
from sigforge.core.storage import Place
from sigforge.dataset.hashes import fingerprint_of
from sigforge.dataset.tables import PHOTOS, Photo, photo_table, photos_of, write_table
from sigforge.shards.layout import ShardPath, ShardReport, shards_in
from sigforge.synthesis.gates import Gates, refused_photos

LIST = "photographs.{}.parquet"
_OTHERWISE = "give another --out, or remove that folder"


@dataclass(frozen=True)
class EarlierRun:
    """What lies in the folder already.

    Attributes:
        keys: of the shards there, other than this run's.
        photos: that have a number, in order.
        changed: places among them whose photograph is another now.
    """

    keys: tuple[Mapping[str, object], ...] = ()
    photos: tuple[Photo, ...] = ()
    changed: frozenset[int] = frozenset()

    def redone(self, table_size: int, samples: int) -> frozenset[int]:
        """Numbers of the samples of changed photographs, of all crops."""
        return frozenset(n for place in self.changed for n in range(place, samples, table_size))


def take_up(
    out: Place, photos: Sequence[Photo], *, parameters: str, model: str, crops: int
) -> tuple[list[Photo], EarlierRun]:
    """Put photographs in the order that the shards of a folder were made in, new ones behind.

    Args:
        out: folder or bucket.
        photos: of today, in any order.
        parameters: hash of this run's options, as in the keys of its shards.
        model: fingerprint of this run's model.
        crops: squares taken from each photograph.

    Returns:
        The photographs in order, and what lies in the folder.

    Raises:
        UserError: the shards are another's, or were made otherwise; the message says in what.
    """
    keys = _keys(out, parameters)
    lists = {str(key["inputs"]): _read_list(out, str(key["inputs"])) for key in keys}
    for inputs, listed in lists.items():
        if shard_inputs_hash(model, listed if listed is not None else list(photos)) != inputs:
            what = "another model" if listed is not None else "another model or other photographs"
            raise UserError(f"{out}: its shards were made with {what}: {_OTHERWISE}")
    known = sorted((listed for listed in lists.values() if listed is not None), key=len)
    numbered = known[-1] if known else list(photos) if lists else []
    if any([a.photo_id for a in few] != [b.photo_id for b in more[: len(few)]] for few, more in pairwise(known)):
        raise UserError(f"{out}: its shards were made of photographs in different orders: {_OTHERWISE}")
    return _ordered(out, photos, numbered, keys, crops)


def shard_inputs_hash(model: str, photos: Sequence[Photo]) -> str:
    """The part of a shard's key that speaks of the model and the photographs."""
    return hash_of([model, fingerprint_of(photo_table(photos))])


def with_verdicts(earlier: EarlierRun, photos: Sequence[Photo], gates: Gates, size: int) -> EarlierRun:
    """Count as changed, too, what the gates let through then and not today, or the other way round.

    Args:
        earlier: from :func:`take_up`.
        photos: from there, too.
        gates: of both runs.
        size: side of the samples.
    """
    if not earlier.photos:
        return earlier
    then, now = (refused_photos(photo_table(some), gates, size=size) for some in (earlier.photos, photos))
    places = {place for place in range(len(earlier.photos)) if then.get(place) != now.get(place)}
    return replace(earlier, changed=earlier.changed | places)


def write_list(out: Place, photos: Iterable[Photo], inputs: str) -> None:
    """Leave the list of photographs that shards with these inputs are made of.

    Args:
        out: folder or bucket of the shards.
        photos: in the order of their numbers.
        inputs: see :func:`shard_inputs_hash`.
    """
    # In the order of their numbers, which a table keeps in no other way: it is sorted by its columns.
    numbered = (replace(photo, photo_id=f"{place:09d} {photo.photo_id}") for place, photo in enumerate(photos))
    write_table(numbered, out / LIST.format(inputs[:12]), PHOTOS)


def remove_other_lists(out: Place, inputs: str) -> None:
    """Remove the lists that no shard needs any more."""
    for path in out.glob(LIST.format("*")):
        if path.name != LIST.format(inputs[:12]):
            path.unlink(missing_ok=True)


def _read_list(out: Place, inputs: str) -> list[Photo] | None:
    try:
        table = read_table_bytes((out / LIST.format(inputs[:12])).read_bytes())
        return [replace(photo, photo_id=photo.photo_id.partition(" ")[2]) for photo in photos_of(table)]
    except UserError:
        raise
    except (OSError, ValueError, TypeError):  # none there, or a damaged one
        return None


def _keys(out: Place, parameters: str) -> list[Mapping[str, object]]:
    """The different keys of the shards in a folder; a shard whose marker is damaged counts as not made."""
    shards = shards_in(out)
    reports = {shard: _report(shard) for shard in shards}
    for shard, report in reports.items():
        if report and report.key.get("parameters") != parameters:
            options = "--size, --shard-size, --seed or --maps, or on another device"
            raise UserError(f"{shard.tar}: made with another {options}: give the same, {_OTHERWISE}")
    keys = [report.key for report in reports.values() if report]
    if shards and not keys:
        raise UserError(f"{shards[0].tar}: made with another model, other options or photographs: {_OTHERWISE}")
    return list({hash_of(dict(key)): key for key in keys}.values())


def _report(shard: ShardPath) -> ShardReport | None:
    try:
        return ShardReport.from_json(shard.done.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _ordered(
    out: Place, photos: Sequence[Photo], numbered: Sequence[Photo], keys: Sequence[Mapping[str, object]], crops: int
) -> tuple[list[Photo], EarlierRun]:
    today = {photo.photo_id: photo for photo in photos}
    if gone := [photo.path for photo in numbered if photo.photo_id not in today]:
        told = f"{len(gone)} photographs were removed, or cannot be read any more, since its shards were made"
        raise UserError(f"{out}: {told} ({gone[0]}): bring them back, or give another --out")
    ids = {photo.photo_id for photo in numbered}
    new = [photo for photo in photos if photo.photo_id not in ids]
    if numbered and new and crops > 1:
        told = f"{len(new)} photographs were added since its shards were made ({new[0].path})"
        raise UserError(f"{out}: {told}, and with --crops {crops} they would renumber all: give another --out for them")
    order = [today[photo.photo_id] for photo in numbered] + new
    changed = frozenset(n for n, photo in enumerate(numbered) if photo.sha256 != order[n].sha256)
    return order, EarlierRun(tuple(keys), tuple(numbered), changed)
