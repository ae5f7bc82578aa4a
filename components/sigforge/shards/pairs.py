"""Reading shards: any sample by its position, straight from the tar, without running anything found in it."""

import json
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_bytes
from sigforge.core.images import decode_bytes
from sigforge.core.parquet import read_table_bytes
from sigforge.core.storage import Place
from sigforge.shards.layout import AGAIN, SAMPLES, SampleRow, ShardPath, shards_in
from sigforge.shards.writer import OWN_FACTS, ShardSample


class ShardPairs:
    """Pairs of the finished shards of a folder, addressed 0..n-1 in shard and key order.

    Only the Parquet tables are read up front; images are read at their offset when asked for.

    Raises:
        UserError: no finished shard, or none with a sample; when asked for an image, one that is cut or altered.
    """

    def __init__(self, folder: Place) -> None:
        self.entries: list[tuple[Place, SampleRow]] = [
            (shard.tar, row) for shard in shards_in(folder) for row in read_rows(shard) if row["status"] == "ok"
        ]
        if not self.entries:
            raise UserError(f"{folder}: holds no finished shard with a pair; run 'dvc repro synth@{folder.name}'")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Both images, float32 in [0, 1], (H, W) or (H, W, 3)."""
        tar, row = self.entries[index]
        with opened(tar) as file:
            a, b = (decode_bytes(member(file, tar, row, side), f"{tar}:{row['key']}.{side}")[0] for side in "ab")
            return a, b

    def row(self, index: int) -> SampleRow:
        """The Parquet row of a sample."""
        return self.entries[index][1]


def read_rows(shard: ShardPath, *, sha256: str | None = None) -> list[SampleRow]:
    """The rows of a shard's table, failures included.

    Raises:
        UserError: the table is missing, damaged, of another version, or has another ``sha256`` than is given.
    """
    try:
        data = shard.table.read_bytes()
    except OSError as error:
        raise UserError(f"{shard.table}: missing, cut or altered: {AGAIN}") from error
    rows = rows_from(data, shard.table)
    if sha256 and sha256_bytes(data) != sha256:
        raise UserError(f"{shard.table}: is not what the done-marker promises: {AGAIN}")
    return rows


def rows_from(data: bytes, table: Place) -> list[SampleRow]:
    """The rows in the bytes of a shard's table.

    Raises:
        UserError: they are damaged, or of another version.
    """
    try:
        rows = read_table_bytes(data)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{table}: missing, cut or altered: {AGAIN}") from error
    if not rows.schema.equals(SAMPLES):
        raise UserError(f"{table}: has the columns of another version: {AGAIN}")
    found: list[SampleRow] = rows.to_pylist()
    return found


def read_samples(shard: ShardPath) -> Iterator[ShardSample]:
    """The good samples, as they were given to the writer.

    Raises:
        UserError: something of the shard is missing, cut or altered.
    """
    rows = [row for row in read_rows(shard) if row["status"] == "ok"]
    with opened(shard.tar) as file:
        for row in rows:
            a, b, facts = (member(file, shard.tar, row, part) for part in ("a", "b", "json"))
            given = {name: value for name, value in json.loads(facts).items() if name not in OWN_FACTS}
            yield ShardSample(
                row["key"], row["photo_id"], row["subtask"], a, b, extension_of(file, shard.tar, row), given
            )


def member(file: BinaryIO, tar: Place, row: SampleRow, part: str) -> bytes:
    """The bytes of a row's ``a``, ``b`` or ``json``, checked against their sha256.

    Args:
        file: the open tar; reading members in order goes forward only.
        tar: its name, for errors.
        row: of the table.
        part: which member.

    Raises:
        UserError: they are not what was written.
    """
    file.seek(row[f"{part}_offset"])
    data = file.read(row[f"{part}_size"])
    if sha256_bytes(data) != row[f"{part}_sha256"]:
        raise UserError(f"{tar}: {row['key']}.{part} is cut or altered: {AGAIN}; 'sigforge verify' lists all")
    return data


def opened(tar: Place) -> BinaryIO:
    """Open a tar for reading.

    Raises:
        UserError: it is missing or may not be read.
    """
    try:
        return cast(BinaryIO, tar.open("rb"))
    except OSError as error:
        raise UserError(f"{tar}: cannot be opened ({error.strerror or 'missing'}): {AGAIN}") from error


def extension_of(file: BinaryIO, tar: Place, row: SampleRow) -> str:
    """``webp`` or ``png``: the type of a row's images, from their name in the tar.

    Args:
        file: the open tar.
        tar: its name, for errors.
        row: of the table.

    Raises:
        UserError: the header is cut or altered.
    """
    file.seek(row["a_offset"] - tarfile.BLOCKSIZE)
    try:
        return tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "strict").name.rsplit(".", 1)[-1]
    except (tarfile.TarError, ValueError) as error:
        raise UserError(f"{tar}: the header of {row['key']}.a is cut or altered: {AGAIN}") from error
