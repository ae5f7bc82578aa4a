"""Checking shards: every byte and every count against what was promised when they were written."""

import json
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from components.errors import UserError
from components.files import sha256_file
from components.images import decode_bytes
from components.shards.layout import ShardPath, key_name, shards_in
from components.shards.reader import member, read_rows

BESIDE = frozenset({"KEY", "quarantine.parquet"})
"""What else may lie in a folder of shards."""

RELEASE = frozenset({"README.md", "LICENSE", "croissant.json", "ATTRIBUTION.parquet", "SHA256SUMS", "provenance.json"})
SHARD_NAME = re.compile(r"(.+)-(\d{6})")


class Promised(NamedTuple):
    """What a done-marker says of the files beside it."""

    sha256: str
    parquet_sha256: str
    samples: int
    failures: int


def verify(folder: Path) -> list[str]:
    """Problems found in the shards of a folder, one line each; an empty list means that all is as promised."""
    shards = [shard for shard in shards_in(folder) if SHARD_NAME.fullmatch(shard.tar.stem)]
    if not shards:
        return [f"{folder}: no finished shard"]
    problems = _strays(folder, shards) + _gaps(folder, shards)
    return problems + [problem for shard in shards for problem in verify_shard(shard)]


def verify_shard(shard: ShardPath) -> list[str]:
    """Problems of one shard."""
    try:
        promised = Promised(**{name: json.loads(shard.done.read_text())[name] for name in Promised._fields})
    except (ValueError, KeyError, TypeError):
        return [f"{shard.done}: damaged done-marker"]
    for path, sha256 in ((shard.tar, promised.sha256), (shard.table, promised.parquet_sha256)):
        if not path.exists():
            return [f"{path}: missing"]
        if sha256_file(path) != sha256:
            return [f"{path}: sha256 is not the promised {sha256[:12]}..."]
    try:
        rows = read_rows(shard)
        return _verify_rows(shard, rows, promised) + _verify_members(shard, [r for r in rows if r["status"] == "ok"])
    except (UserError, tarfile.TarError) as error:
        return [f"{shard.tar}: {error}"]


def _strays(folder: Path, shards: Sequence[ShardPath]) -> list[str]:
    known = {path for shard in shards for path in (shard.tar, shard.table, shard.done)}
    problems = []
    for path in sorted(set(folder.iterdir()) - known):
        if path.suffix == ".tar":
            problems.append(f"{path}: no done-marker beside it; the shard was not finished")
        elif path.name not in BESIDE | RELEASE:
            problems.append(f"{path}: does not belong to any shard")
    return problems


def _gaps(folder: Path, shards: Sequence[ShardPath]) -> list[str]:
    """Shards of a series are numbered from 0 without a gap; a missing last one cannot be told here."""
    series: dict[str, set[int]] = {}
    for shard in shards:
        name, number = SHARD_NAME.fullmatch(shard.tar.stem).groups()
        series.setdefault(name, set()).add(int(number))
    gaps = ((name, n) for name, numbers in series.items() for n in sorted(set(range(max(numbers))) - numbers))
    return [f"{folder}/{name}-{number:06d}.tar: missing from the series" for name, number in gaps]


def _verify_rows(shard: ShardPath, rows: Sequence[dict], promised: Promised) -> list[str]:
    problems, good = [], sum(row["status"] == "ok" for row in rows)
    if (good, len(rows) - good) != (promised.samples, promised.failures):
        problems.append(f"{shard.table}: counts differ from {shard.done.name}")
    keys = [row["key"] for row in rows]
    if keys and keys != [key_name(int(keys[0]) + n) for n in range(len(keys))]:
        problems.append(f"{shard.table}: keys are not contiguous")
    return problems


def _verify_members(shard: ShardPath, rows: Sequence[dict]) -> list[str]:
    with tarfile.open(shard.tar) as tar:
        found = [name.rsplit(".", 1) if not name.endswith(".json") else (name, "") for name in tar.getnames()]
    names = [stem for stem, _ in found]
    wanted = [name for row in rows for name in (f"{row['key']}.a", f"{row['key']}.b", f"{row['key']}.json")]
    if names != wanted:
        odd = sorted(set(names) ^ set(wanted)) or ["their order"]
        return [f"{shard.tar}: members are not those of the table: {', '.join(odd[:3])}"]
    problems = []
    with shard.tar.open("rb") as file:
        for row in rows:
            for side in ("a", "b"):
                try:
                    decode_bytes(member(file, shard.tar, row, side), f"{shard.tar}: {row['key']}.{side}")
                except UserError as error:
                    problems.append(str(error))
    return problems
