"""Names and tables of a shard: the tar, its Parquet of samples and its done-marker.

``vif-train-000000.tar`` holds, per digits-only key, ``key.a.webp``, ``key.b.webp`` and ``key.json``. Beside it lie
``.parquet`` (a row per sample, failures with their reason) and ``.json`` (counts, bytes, sha256, seconds), written
last.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa

from sigforge.core.storage import Place

KEY_DIGITS = 9
AGAIN = "make this shard again: remove its .json file and run 'synth' as before"
"""What to do about a shard that is damaged; the good ones are kept."""

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


SampleRow = dict[str, Any]
"""A row of :data:`SAMPLES`."""

_JsonText = str | bytes


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


@dataclass(frozen=True)
class ShardReport:
    """What the done-marker says of the files beside it.

    Attributes:
        shard: name of the tar.
        samples, failures: how many photographs gave a pair, and how many did not.
        reasons: failures by reason, a word.
        bytes, sha256: of the tar.
        parquet_sha256: of the table.
        seconds: that writing took.
        key: what the bytes depend on.
    """

    shard: str
    samples: int
    failures: int
    reasons: Mapping[str, int]
    bytes: int
    sha256: str
    parquet_sha256: str
    seconds: float
    key: Mapping[str, object]

    @property
    def planned(self) -> int:
        """Samples and failures together."""
        return self.samples + self.failures

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: _JsonText) -> "ShardReport":
        """Read the text of the file.

        Raises:
            ValueError: it is not JSON, or not a done-marker.

        Example:
            >>> ShardReport.from_json("{}")
            Traceback (most recent call last):
            ValueError: no done-marker: 'shard' is missing
        """
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("no done-marker: not an object")
        if missing := [field.name for field in fields(cls) if field.name not in found]:
            raise ValueError(f"no done-marker: '{missing[0]}' is missing")
        return cls(**{field.name: found[field.name] for field in fields(cls)})


def key_name(index: int) -> str:
    """The key of sample ``index``: digits only, since loaders split names at dots in different ways."""
    return f"{index:0{KEY_DIGITS}d}"


def shards_in(folder: Place) -> list[ShardPath]:
    """Finished shards of a folder, in order."""
    markers: list[Place] = list(folder.glob("*-[0-9]*.json"))
    return [ShardPath(path.with_suffix(".tar")) for path in sorted(markers, key=str)]
