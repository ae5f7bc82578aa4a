"""Writing a shard: byte-identical for the same samples, complete or not there.

A done-marker never stands beside files that it does not describe: it goes before the first of them is replaced, and
comes back last.
"""

import io
import json
import tarfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from components.files import atomic_path, canonical_json, sha256_bytes, sha256_file, write_atomic
from components.shards.layout import SAMPLES, ShardPath


@dataclass(frozen=True)
class Sample:
    """One pair, encoded: ``a`` and ``b`` are image files of type ``extension``; ``facts`` becomes ``key.json``."""

    key: str
    photo_id: str
    subtask: str
    a: bytes
    b: bytes
    extension: str
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A photograph that gave no pair, and why: ``<word>: <detail>``."""

    key: str
    photo_id: str
    subtask: str
    reason: str


def write_shard(path: ShardPath, samples: Iterable[Sample | Failure], key: dict[str, object]) -> dict[str, object]:
    """Write tar, Parquet and, last, the done-marker with ``key`` inside.

    Returns:
        the done-marker: counts, failures by reason, bytes, sha256 of tar and Parquet, seconds, key.
    """
    started = time.monotonic()
    with atomic_path(path.tar) as temporary, temporary.open("wb") as file:
        rows = _write_tar(file, samples)
        path.done.unlink(missing_ok=True)
    columns = {name: [row.get(name) for row in rows] for name in SAMPLES.names}
    with atomic_path(path.table) as temporary:
        pq.write_table(pa.table(columns, schema=SAMPLES), temporary, compression="zstd")
    report = {
        "shard": path.tar.name,
        "samples": sum(row["status"] == "ok" for row in rows),
        "failures": sum(row["status"] == "failed" for row in rows),
        "reasons": reasons(rows),
        "bytes": path.tar.stat().st_size,
        "sha256": sha256_file(path.tar),
        "parquet_sha256": sha256_file(path.table),
        "seconds": round(time.monotonic() - started, 3),
        "key": key,
    }
    write_atomic(path.done, json.dumps(report, indent=1, sort_keys=True))
    return report


def finished(path: ShardPath, key: dict[str, object]) -> dict[str, object] | None:
    """The done-marker if this shard is complete and was made with ``key``."""
    try:
        report = json.loads(path.done.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    whole = path.tar.exists() and path.table.exists() and path.tar.stat().st_size == report["bytes"]
    return report if whole and report["key"] == json.loads(canonical_json(key)) else None


def reasons(rows: Iterable[dict[str, object]]) -> dict[str, int]:
    """How many samples failed for each reason, a word.

    Example:
        >>> reasons([{"status": "failed", "reason": "truncated: x.png"}, {"status": "ok", "reason": None}])
        {'truncated': 1}
    """
    return dict(sorted(Counter(row["reason"].split(":", 1)[0] for row in rows if row["status"] == "failed").items()))


def _write_tar(file: BinaryIO, samples: Iterable[Sample | Failure]) -> list[dict[str, object]]:
    rows = []
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            row = {"key": sample.key, "photo_id": sample.photo_id, "subtask": sample.subtask}
            if isinstance(sample, Failure):
                rows.append(row | {"status": "failed", "reason": sample.reason})
                continue
            rows.append(row | {"status": "ok"} | _add_sample(tar, sample))
    return rows


def _add_sample(tar: tarfile.TarFile, sample: Sample) -> dict[str, object]:
    row: dict[str, object] = {}
    for side, data in (("a", sample.a), ("b", sample.b)):
        row[f"{side}_offset"] = _add(tar, f"{sample.key}.{side}.{sample.extension}", data)
        row |= {f"{side}_size": len(data), f"{side}_sha256": sha256_bytes(data)}
    facts = sample.facts | {f"{side}_sha256": row[f"{side}_sha256"] for side in ("a", "b")}
    _add(tar, f"{sample.key}.json", canonical_json(facts | {"photo_id": sample.photo_id}).encode())
    return row


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a member with fixed header fields; returns where its data start."""
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = len(data), 0, 0o644
    header.uid = header.gid = 0
    header.uname = header.gname = ""
    tar.addfile(header, io.BytesIO(data))
    padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return tar.offset - padded
