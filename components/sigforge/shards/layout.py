"""Names and tables of a shard: the tar, its Parquet of samples and its done-marker.

``vif-train-000000.tar`` holds, per digits-only key, ``key.a.webp``, ``key.b.webp`` and ``key.json``. Beside it lie
``.parquet`` (a row per sample, failures with their reason) and ``.json`` (counts, bytes, sha256, seconds), written
last.
"""

from dataclasses import dataclass

import pyarrow as pa

from sigforge.core.storage import Place

KEY_DIGITS = 9

SAMPLES = pa.schema(
    [
        ("key", pa.string()),
        ("photo_id", pa.string()),
        ("subtask", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("a_sha256", pa.string()),
        ("b_sha256", pa.string()),
        ("a_offset", pa.int64()),
        ("a_size", pa.int64()),
        ("b_offset", pa.int64()),
        ("b_size", pa.int64()),
        ("json_sha256", pa.string()),
        ("json_offset", pa.int64()),
        ("json_size", pa.int64()),
    ]
)


@dataclass(frozen=True)
class ShardPath:
    """The three files of one shard."""

    tar: Place

    @classmethod
    def of(cls, folder: Place, task: str, split: str, index: int) -> "ShardPath":
        """Shard ``index`` of a task and split in ``folder``.

        Args:
            folder: local, or in a bucket.
            task: ``vif``, ``mif``, ``mfif`` or ``mef``.
            split: ``train`` for everything that synthesis makes.
            index: counted from 0; six digits in the name.

        Example:
            >>> from pathlib import Path
            >>> ShardPath.of(Path("shards"), "vif", "train", 7).tar.name
            'vif-train-000007.tar'
        """
        return cls(folder / f"{task}-{split}-{index:06d}.tar")

    @property
    def table(self) -> Place:
        """The Parquet of samples."""
        return self.tar.with_suffix(".parquet")

    @property
    def done(self) -> Place:
        """The done-marker."""
        return self.tar.with_suffix(".json")


def key_name(index: int) -> str:
    """The key of sample ``index``: digits only, since loaders split names at dots in different ways."""
    return f"{index:0{KEY_DIGITS}d}"


def shards_in(folder: Place) -> list[ShardPath]:
    """Finished shards of a folder, in order."""
    return [ShardPath(path.with_suffix(".tar")) for path in sorted(folder.glob("*-[0-9]*.json"))]
