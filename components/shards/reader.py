"""Reading shards: any sample by its position, straight from the tar, without running anything found in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from components.errors import UserError
from components.images import decode_bytes
from components.shards.layout import ShardPath, shards_in


class ShardPairs:
    """Pairs of the finished shards of a folder, addressed 0..n-1 in shard and key order.

    Only the Parquet tables are read up front; images are read at their offset when asked for.

    Raises:
        UserError: no finished shard, or none with a sample.
    """

    def __init__(self, folder: Path) -> None:
        self.entries: list[tuple[Path, dict]] = [
            (shard.tar, row) for shard in shards_in(folder) for row in _good_rows(shard)
        ]
        if not self.entries:
            raise UserError(f"{folder}: holds no finished shard with a pair; run 'dvc repro synth@{folder.name}'")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Both images, float32 in [0, 1], (H, W) or (H, W, 3)."""
        tar, row = self.entries[index]
        with tar.open("rb") as file:
            return tuple(decode_bytes(data, name)[0] for name, data in _members(file, tar, row))

    def row(self, index: int) -> dict:
        """The Parquet row of a sample."""
        return self.entries[index][1]


def _good_rows(shard: ShardPath) -> Sequence[dict]:
    rows = pq.read_table(shard.table).to_pylist()
    return [row for row in rows if row["status"] == "ok"]


def _members(file, tar: Path, row: dict) -> Iterator[tuple[str, bytes]]:  # noqa: ANN001
    for side in ("a", "b"):
        file.seek(row[f"{side}_offset"])
        yield f"{tar}:{row['key']}.{side}", file.read(row[f"{side}_size"])
