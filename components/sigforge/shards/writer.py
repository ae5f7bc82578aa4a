"""Writing a shard: byte-identical for the same samples, complete or not there.

A done-marker never stands beside files that it does not describe: it goes before the first of them is replaced, and
comes back last.
"""

import json
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa

from sigforge.core.files import atomic_path, canonical_json, sha256_bytes, write_atomic
from sigforge.core.parquet import parquet_bytes
from sigforge.core.storage import size_of
from sigforge.shards.layout import SAMPLES, SampleRow, ShardPath, ShardReport
from sigforge.shards.tar import HashedTar, hashed_tar

OWN_FACTS = ("photo_id", "a_sha256", "b_sha256")
"""What the writer adds to the facts of a sample."""

AHEAD = 16
"""Samples hashed before their turn to be written."""


@dataclass(frozen=True)
class ShardSample:
    """One pair, encoded: ``a`` and ``b`` are image files of type ``extension``; ``facts`` becomes ``key.json``."""

    key: str
    photo_id: str
    subtask: str
    a: bytes
    b: bytes
    extension: str
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class SampleFailure:
    """A photograph that gave no pair, and why: ``<word>: <detail>``."""

    key: str
    photo_id: str
    subtask: str
    reason: str


def write_shard(
    path: ShardPath, samples: Iterable[ShardSample | SampleFailure], key: Mapping[str, object]
) -> ShardReport:
    """Write tar, Parquet and, last, the done-marker with ``key`` inside.

    Args:
        path: where the three files go; what lies there is replaced.
        samples: in key order; a failure gets a row with its reason and no member of the tar. Read once.
        key: what the bytes depend on, as JSON; a later run keeps the shard if it has the same key.

    Returns:
        what the done-marker says.

    Raises:
        UserError: the disk is full, or the server of a remote shard cannot be reached or refuses.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = ShardPath.of(Path(folder), "vif", "train", 0)
        ...     report = write_shard(path, [SampleFailure("000000000", "p1", "vif", "too_small: 12x9")], {"seed": 0})
        ...     sorted(file.suffix for file in Path(folder).iterdir())
        ['.json', '.parquet', '.tar']
    """
    started = time.monotonic()
    with atomic_path(path.tar) as temporary, temporary.open("wb") as file:
        tar, rows = _write_tar(file, samples)
        path.done.unlink(missing_ok=True)
    table = _parquet(rows)
    write_atomic(path.table, table)
    report = ShardReport(
        shard=path.tar.name,
        samples=sum(row["status"] == "ok" for row in rows),
        failures=sum(row["status"] == "failed" for row in rows),
        reasons=reasons(rows),
        bytes=tar.size,
        sha256=tar.sha256,
        parquet_sha256=sha256_bytes(table),
        seconds=round(time.monotonic() - started, 3),
        key=key,
    )
    write_atomic(path.done, report.to_json())
    return report


def finished(path: ShardPath, key: Mapping[str, object]) -> ShardReport | None:
    """What the done-marker says if this shard is complete and was made with ``key``.

    Raises:
        UserError: the server of a remote shard cannot be reached or refuses.
    """
    try:
        marker = path.done.read_bytes()
    except FileNotFoundError:
        return None
    try:
        report = ShardReport.from_json(marker)
    except ValueError:
        return None
    promised = report.bytes, report.key
    whole = size_of(path.table) is not None and (size_of(path.tar), json.loads(canonical_json(key))) == promised
    return report if whole else None


def reasons(rows: Iterable[SampleRow]) -> dict[str, int]:
    """How many samples failed for each reason, a word.

    Example:
        >>> reasons([{"status": "failed", "reason": "truncated: x.png"}, {"status": "ok", "reason": None}])
        {'truncated': 1}
    """
    return dict(sorted(Counter(row["reason"].split(":", 1)[0] for row in rows if row["status"] == "failed").items()))


def _write_tar(file: BinaryIO, samples: Iterable[ShardSample | SampleFailure]) -> tuple[HashedTar, list[SampleRow]]:
    with hashed_tar(file) as tar, ThreadPoolExecutor(1) as pool:
        rows = [_add(tar, sample, hashes) for sample, hashes in _hashed(samples, pool)]
    return tar, rows


def _hashed(
    samples: Iterable[ShardSample | SampleFailure], pool: ThreadPoolExecutor
) -> Iterator[tuple[ShardSample | SampleFailure, tuple[str, ...]]]:
    """Samples with the hashes of their images, which a thread computes while earlier ones are written."""
    waiting: deque[tuple[ShardSample | SampleFailure, Future[tuple[str, ...]]]] = deque()
    for sample in samples:
        waiting.append((sample, pool.submit(_image_hashes, sample)))
        if len(waiting) > AHEAD:
            sample, hashes = waiting.popleft()
            yield sample, hashes.result()
    yield from ((sample, hashes.result()) for sample, hashes in waiting)


def _image_hashes(sample: ShardSample | SampleFailure) -> tuple[str, ...]:
    return (sha256_bytes(sample.a), sha256_bytes(sample.b)) if isinstance(sample, ShardSample) else ()


def _add(tar: HashedTar, sample: ShardSample | SampleFailure, hashes: tuple[str, ...]) -> SampleRow:
    """Append the members of a sample; returns its row."""
    row: SampleRow = {"key": sample.key, "photo_id": sample.photo_id, "subtask": sample.subtask}
    if isinstance(sample, SampleFailure):
        return row | {"status": "failed", "reason": sample.reason}
    own = zip(OWN_FACTS, (sample.photo_id, *hashes), strict=True)
    facts = canonical_json(sample.facts | dict(own)).encode()
    names = (f"a.{sample.extension}", f"b.{sample.extension}", "json")
    for name, data, sha256 in zip(names, (sample.a, sample.b, facts), (*hashes, sha256_bytes(facts)), strict=True):
        part = name.split(".", 1)[0]
        row[f"{part}_offset"] = tar.add(f"{sample.key}.{name}", data)
        row |= {f"{part}_size": len(data), f"{part}_sha256": sha256}
    return row | {"status": "ok"}


def _parquet(rows: list[SampleRow]) -> bytes:
    columns = {name: [row.get(name) for row in rows] for name in SAMPLES.names}
    return parquet_bytes(pa.table(columns, schema=SAMPLES), compression="zstd")
