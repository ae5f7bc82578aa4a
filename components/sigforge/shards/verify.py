"""Checking shards: every byte and every count against what was promised when they were written."""

import re
import tarfile
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.core.files import canonical_json, sha256_bytes, sha256_file
from sigforge.core.images import decode_bytes
from sigforge.core.storage import Place, RemoteError, fetched, size_of
from sigforge.shards.layout import SampleRow, ShardPath, ShardReport, key_name, shards_in
from sigforge.shards.pairs import member, rows_from
from sigforge.shards.tar import BLOCK, NAME_BYTES, header
from sigforge.shards.writer import reasons

BESIDE = frozenset({"KEY", "quarantine.parquet"})
"""What else may lie in a folder of shards."""

PHOTOGRAPHS = re.compile(r"photographs\.[0-9a-f]{12}\.parquet")
"""The list of photographs that a run of ``sigforge synth`` leaves."""

SHARD_NAME = re.compile(r"(.+)-(\d{6})")


def verify(folder: Place, *, decode: bool = True, beside: Collection[str] = ()) -> list[str]:
    """Problems found in the shards of a folder, one line each; an empty list means that all is as promised.

    Args:
        folder: local, or a prefix in a bucket.
        decode: also decode every image. Their hashes, taken when they were encoded, are checked in any case.
        beside: names of other files that belong there.

    Raises:
        RemoteError: the server of a remote folder cannot be reached or refuses.
    """
    shards = [shard for shard in shards_in(folder) if SHARD_NAME.fullmatch(shard.tar.stem)]
    if not shards:
        return [f"{folder}: no finished shard"]
    markers = {shard: _promised(shard) for shard in shards}
    problems = _strays(folder, shards, beside) + _gaps(folder, shards) + _mixed(markers)
    for shard, promised in markers.items():
        problems += _verify_shard(shard, promised, decode)
    return problems


def _verify_shard(shard: ShardPath, promised: ShardReport | None, decode: bool) -> list[str]:
    if promised is None:
        return [f"{shard.done}: damaged done-marker"]
    if promised.shard != shard.tar.name:
        return [f"{shard.done}: is the done-marker of {promised.shard}"]
    for path in (shard.tar, shard.table):
        if size_of(path) is None:
            return [f"{path}: missing"]
    if size_of(shard.tar) != promised.bytes:
        return [f"{shard.tar}: has {size_of(shard.tar)} bytes, not the promised {promised.bytes}"]
    try:
        table = shard.table.read_bytes()
        with fetched(shard.tar) as tar:
            return _compared(shard, tar, table, promised, decode)
    except RemoteError:
        raise
    except (UserError, tarfile.TarError) as error:
        return [f"{shard.tar}: {error}"]


def _compared(shard: ShardPath, tar: Path, table: bytes, promised: ShardReport, decode: bool) -> list[str]:
    """The whole tar is hashed by a thread while its members are: that takes the time of one, and bytes are read once.

    What members say of an altered tar is not told: the tar itself is named.
    """
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(sha256_file, tar)
        try:
            problems = _contradictions(shard, tar, table, promised, decode)
        except (UserError, tarfile.TarError, OSError) as error:
            problems = [f"{shard.tar}: {error}"]
        return _altered(shard, whole.result(), table, promised) or problems


def _promised(shard: ShardPath) -> ShardReport | None:
    try:
        return ShardReport.from_json(shard.done.read_bytes())
    except ValueError:
        return None


def _altered(shard: ShardPath, tar_sha256: str, table: bytes, promised: ShardReport) -> list[str]:
    found = {shard.tar: tar_sha256, shard.table: sha256_bytes(table)}
    hashes = zip(found.items(), (promised.sha256, promised.parquet_sha256), strict=True)
    return [f"{path}: sha256 is not the promised {hope[:12]}..." for (path, sha256), hope in hashes if sha256 != hope]


def _contradictions(shard: ShardPath, tar: Path, table: bytes, promised: ShardReport, decode: bool) -> list[str]:
    """What does not fit together though every file is as its marker says."""
    rows = rows_from(table, shard.table)
    good = [row for row in rows if row["status"] == "ok"]
    return _verify_rows(shard, rows, promised) + _verify_members(shard, tar, good, decode)


def _strays(folder: Place, shards: Sequence[ShardPath], beside: Collection[str]) -> list[str]:
    known = {path for shard in shards for path in (shard.tar, shard.table, shard.done)}
    found: set[Place] = set(folder.iterdir())
    problems = []
    for path in sorted(found - known, key=str):
        if path.suffix == ".tar":
            problems.append(f"{path}: no done-marker beside it; the shard was not finished")
        elif path.name not in BESIDE | set(beside) and not PHOTOGRAPHS.fullmatch(path.name):
            problems.append(f"{path}: does not belong to any shard")
    return problems


def _series_of(shard: ShardPath) -> tuple[str, int]:
    """Name of the series that a shard belongs to, and its number there."""
    name, _, number = shard.tar.stem.rpartition("-")
    return name, int(number)


def _gaps(folder: Place, shards: Sequence[ShardPath]) -> list[str]:
    """Shards of a series are numbered from 0 without a gap; a missing last one cannot be told here."""
    series: dict[str, set[int]] = {}
    for shard in shards:
        name, number = _series_of(shard)
        series.setdefault(name, set()).add(number)
    gaps = ((name, n) for name, numbers in series.items() for n in sorted(set(range(max(numbers))) - numbers))
    return [f"{folder}/{name}-{number:06d}.tar: missing from the series" for name, number in gaps]


def _mixed(markers: Mapping[ShardPath, ShardReport | None]) -> list[str]:
    """Shards of a series are made with the same options from the same photographs."""
    first: dict[str, tuple[ShardPath, str]] = {}
    problems = []
    for shard, promised in markers.items():
        if promised:
            series, key = _series_of(shard)[0], canonical_json(promised.key)
            other, others_key = first.setdefault(series, (shard, key))
            if key != others_key:
                problems.append(f"{shard.tar}: made with other options or photographs than {other.tar.name}")
    return problems


def _verify_rows(shard: ShardPath, rows: Sequence[SampleRow], promised: ShardReport) -> list[str]:
    problems, good = [], sum(row["status"] == "ok" for row in rows)
    if (good, len(rows) - good, reasons(rows)) != (promised.samples, promised.failures, promised.reasons):
        problems.append(f"{shard.table}: counts differ from {shard.done.name}")
    keys = [row["key"] for row in rows]
    if keys and keys != [key_name(int(keys[0]) + n) for n in range(len(keys))]:
        problems.append(f"{shard.table}: keys are not contiguous")
    return problems


def _verify_members(shard: ShardPath, tar: Path, rows: Sequence[SampleRow], decode: bool) -> list[str]:
    if not _as_written(tar, rows):
        with tarfile.open(tar) as archive:
            names = [_stem(name) for name in archive.getnames()]
        wanted = [name for row in rows for name in (f"{row['key']}.a", f"{row['key']}.b", f"{row['key']}.json")]
        if names != wanted:
            odd = sorted(set(names) ^ set(wanted)) or ["their order"]
            return [f"{shard.tar}: members are not those of the table: {', '.join(odd[:3])}"]
    problems = []
    with tar.open("rb") as file:
        for row in rows:
            for part in ("a", "b", "json"):
                try:
                    data = member(file, shard.tar, row, part)
                    if decode and part != "json":
                        decode_bytes(data, f"{shard.tar}: {row['key']}.{part}")
                except UserError as error:
                    problems.append(str(error))
    return problems


def _stem(name: str) -> str:
    return name if name.endswith(".json") else name.rsplit(".", 1)[0]


def _as_written(tar: Path, rows: Sequence[SampleRow]) -> bool:
    """Whether the tar has the very headers that our writer gives these rows, one after the other, and nothing else.

    :mod:`tarfile` takes as long to list the names as all hashes take together.
    """
    position = 0
    with tar.open("rb") as file:
        for row in rows:
            for part in ("a", "b", "json"):
                file.seek(position)
                found = file.read(BLOCK)
                name = found[:NAME_BYTES].rstrip(b"\0").decode("ascii", "replace")
                size = int(row[f"{part}_size"] or 0)
                if _stem(name) != f"{row['key']}.{part}" or found != header(name, size):
                    return False
                if row[f"{part}_offset"] != position + BLOCK:
                    return False
                position += BLOCK + size + -size % BLOCK
        file.seek(position)
        return not any(file.read())
