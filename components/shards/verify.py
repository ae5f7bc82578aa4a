"""Checking shards: every byte and every count against what was promised when they were written."""

import json
import tarfile
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from components.files import sha256_bytes, sha256_file
from components.shards.layout import ShardPath, shards_in


class Promised(NamedTuple):
    """What a done-marker says of the files beside it."""

    sha256: str
    parquet_sha256: str
    samples: int
    failures: int


def verify(folder: Path) -> list[str]:
    """Problems found in the shards of a folder, one line each; an empty list means that all is as promised."""
    shards = shards_in(folder)
    if not shards:
        return [f"{folder}: no finished shard"]
    strays = {path for path in folder.glob("*.tar")} - {shard.tar for shard in shards}
    problems = [f"{path}: no done-marker beside it; the shard was not finished" for path in sorted(strays)]
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
    rows = pq.read_table(shard.table).to_pylist()
    good = [row for row in rows if row["status"] == "ok"]
    problems = []
    if (len(good), len(rows) - len(good)) != (promised.samples, promised.failures):
        problems.append(f"{shard.table}: counts differ from {shard.done.name}")
    return problems + _verify_members(shard, good)


def _verify_members(shard: ShardPath, rows: list[dict]) -> list[str]:
    with tarfile.open(shard.tar) as tar:
        found = {member.name.split(".", 1)[0] for member in tar}
        wanted = {row["key"] for row in rows}
        problems = [f"{shard.tar}: sample {key} is not in the table, or not in the tar" for key in sorted(found ^ wanted)]
    with shard.tar.open("rb") as file:
        for row in rows:
            for side in ("a", "b"):
                file.seek(row[f"{side}_offset"])
                if sha256_bytes(file.read(row[f"{side}_size"])) != row[f"{side}_sha256"]:
                    problems.append(f"{shard.tar}: {row['key']}.{side} differs from its sha256")
    return problems
