"""Looking at single samples of shards, without unpacking any tar."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.core.files import write_atomic
from sigforge.core.images import ImageInfo, decode_bytes
from sigforge.core.storage import Place, size_of
from sigforge.shards.layout import KEY_DIGITS, SampleRow, ShardPath, shards_in
from sigforge.shards.pairs import extension_of, member, opened, read_rows


@dataclass(frozen=True)
class SampleParts:
    """The members of one sample as they lie in their tar, checked against their hashes.

    Attributes:
        tar: where they lie.
        row: of the shard's table.
        members: bytes by name in the tar.
    """

    tar: Place
    row: SampleRow
    members: dict[str, bytes]

    @property
    def facts(self) -> dict[str, object]:
        """What ``key.json`` says."""
        found: dict[str, object] = json.loads(self.members[f"{self.row['key']}.json"])
        return found

    def images(self) -> dict[str, ImageInfo]:
        """Size, channels and depth of both images, by name."""
        names = [name for name in self.members if not name.endswith(".json")]
        return {name: decode_bytes(self.members[name], f"{self.tar}: {name}")[1] for name in names}


def shards_at(where: Place) -> list[ShardPath]:
    """The shards of a folder, or the one whose tar is given.

    Raises:
        UserError: there is none.
    """
    found = [ShardPath(where)] if where.suffix == ".tar" else shards_in(where)
    if not found or size_of(found[0].tar) is None:
        raise UserError(f"{where}: holds no finished shard: give a folder of shards, a release or a tar")
    return found


def first_rows(where: Place, count: int) -> Iterator[tuple[ShardPath, SampleRow]]:
    """The first rows of the tables, failures included, with their shards."""
    rows = ((shard, row) for shard in shards_at(where) for row in read_rows(shard))
    return islice(rows, count)


def read_sample(where: Place, key: str) -> SampleParts:
    """One sample by its key; leading zeros may be left out.

    Raises:
        UserError: no such key, a sample that failed, or one that is cut or altered.
    """
    if not key.isdigit():
        raise UserError(f"{key!r}: keys are numbers: give one, as 123 or 000000123")
    wanted = key.zfill(KEY_DIGITS)
    for shard in shards_at(where):
        rows = read_rows(shard)
        if rows and rows[0]["key"] <= wanted <= rows[-1]["key"]:
            row = next(row for row in rows if row["key"] == wanted)
            if row["status"] != "ok":
                raise UserError(f"{shard.tar}: sample {wanted} was not made: {row['reason']}")
            return _read(shard, row)
    raise UserError(f"{where}: no sample {wanted}: 'sigforge shards head {where}' lists the first")


def extract(sample: SampleParts, folder: Path) -> list[Path]:
    """Write the members of a sample as files; returns their paths."""
    paths = []
    for name, data in sample.members.items():
        write_atomic(folder / name, data)
        paths.append(folder / name)
    return paths


def _read(shard: ShardPath, row: SampleRow) -> SampleParts:
    with opened(shard.tar) as file:
        kind = extension_of(file, shard.tar, row)
        names = {"a": f"a.{kind}", "b": f"b.{kind}", "json": "json"}
        members = {f"{row['key']}.{name}": member(file, shard.tar, row, part) for part, name in names.items()}
    return SampleParts(shard.tar, row, members)
