"""Reading shards: any sample by its position, straight from the tar, without running anything found in it."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import UserError
from components.files import sha256_bytes
from components.images import decode_bytes
from components.shards.layout import ShardPath, shards_in
from components.shards.writer import Sample


class ShardPairs:
    """Pairs of the finished shards of a folder, addressed 0..n-1 in shard and key order.

    Only the Parquet tables are read up front; images are read at their offset when asked for.

    Raises:
        UserError: no finished shard, or none with a sample; when asked for an image, one that is cut or altered.
    """

    def __init__(self, folder: Path) -> None:
        self.entries: list[tuple[Path, dict]] = [
            (shard.tar, row) for shard in shards_in(folder) for row in read_rows(shard) if row["status"] == "ok"
        ]
        if not self.entries:
            raise UserError(f"{folder}: holds no finished shard with a pair; run 'dvc repro synth@{folder.name}'")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Both images, float32 in [0, 1], (H, W) or (H, W, 3)."""
        tar, row = self.entries[index]
        with _opened(tar) as file:
            return tuple(
                decode_bytes(member(file, tar, row, side), f"{tar}:{row['key']}.{side}")[0] for side in ("a", "b")
            )

    def row(self, index: int) -> dict:
        """The Parquet row of a sample."""
        return self.entries[index][1]


def read_rows(shard: ShardPath) -> Sequence[dict]:
    """The rows of a shard's table, failures included.

    Raises:
        UserError: the table is missing or damaged.
    """
    try:
        return pq.read_table(shard.table).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{shard.table}: missing, cut or altered: make this shard again") from error


def read_samples(shard: ShardPath) -> Iterator[Sample]:
    """The good samples, as they were given to the writer.

    Raises:
        UserError: something of the shard is missing, cut or altered.
    """
    rows = [row for row in read_rows(shard) if row["status"] == "ok"]
    with _opened(shard.tar) as file:
        for row in rows:
            a, b = (member(file, shard.tar, row, side) for side in ("a", "b"))
            name, facts = _facts(file, shard.tar, row)
            extension = _extension(file, row["a_offset"])
            yield Sample(name.split(".", 1)[0], row["photo_id"], row["subtask"], a, b, extension, facts)


def member(file: BinaryIO, tar: Path, row: dict, side: str) -> bytes:
    """The bytes of image ``side`` (``a`` or ``b``) of a row, checked against their sha256.

    Raises:
        UserError: they are not what was written.
    """
    file.seek(row[f"{side}_offset"])
    data = file.read(row[f"{side}_size"])
    if sha256_bytes(data) != row[f"{side}_sha256"]:
        raise UserError(f"{tar}: {row['key']}.{side} is cut or altered: make this shard again; 'sigforge verify' lists all")
    return data


def _opened(tar: Path) -> BinaryIO:
    try:
        return tar.open("rb")
    except OSError as error:
        raise UserError(f"{tar}: cannot be opened ({error.strerror}): make this shard again") from error


def _facts(file: BinaryIO, tar: Path, row: dict) -> tuple[str, dict]:
    """Name and content of the JSON member, which follows image ``b``; what the writer adds itself is taken out."""
    end = row["b_offset"] + row["b_size"]
    file.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
    try:
        header = tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "strict")
        facts = json.loads(file.read(header.size))
        own = {"photo_id", "a_sha256", "b_sha256"}
        return header.name, {name: value for name, value in facts.items() if name not in own}
    except (tarfile.TarError, ValueError, AttributeError) as error:
        raise UserError(f"{tar}: {row['key']}.json is cut or altered: make this shard again") from error


def _extension(file: BinaryIO, offset: int) -> str:
    file.seek(offset - tarfile.BLOCKSIZE)
    return tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "strict").name.rsplit(".", 1)[-1]
