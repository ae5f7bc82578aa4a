"""Checking a release: every byte against SHA256SUMS, every member and count of the shards, the tables against both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.core.parquet import read_table_bytes
from sigforge.core.storage import Place, fetched, size_of
from sigforge.release.checksums import read_sums
from sigforge.release.layout import ATTRIBUTION, CARD, CROISSANT, LICENCE, PROVENANCE, SUMS
from sigforge.shards.layout import ShardPath, ShardReport, shards_in
from sigforge.shards.verify import verify

NEEDED = (CARD, LICENCE, CROISSANT, ATTRIBUTION, PROVENANCE)


@dataclass(frozen=True)
class ReleaseVerdict:
    """What was found, one line each, and what was checked, in one line."""

    problems: Sequence[str]
    checked: str


def is_release(folder: Place) -> bool:
    """Whether a folder holds what a release ends with."""
    return size_of(folder / SUMS) is not None


def verify_release(folder: Place, *, decode: bool = False) -> ReleaseVerdict:
    """Check all that a release promises.

    Args:
        folder: local, or a prefix in a bucket.
        decode: also decode every image; their hashes are checked in any case.

    Raises:
        RemoteError: the server of a remote folder cannot be reached or refuses.
    """
    try:
        sums = read_sums((folder / SUMS).read_bytes(), folder / SUMS)
    except FileNotFoundError:
        return ReleaseVerdict([f"{folder / SUMS}: missing: this is no whole release"], "")
    except UserError as error:
        return ReleaseVerdict([str(error)], "")
    names = {path.name for path in folder.iterdir()} - {SUMS}
    problems = [f"{folder / name}: missing" for name in sorted((set(sums) | set(NEEDED)) - names)]
    problems += [f"{folder / name}: does not belong to the release" for name in sorted(names - set(sums))]
    problems += _altered(folder, {name: sums[name] for name in sorted(names & set(sums))})
    problems = _once(problems + verify(folder, decode=decode, beside={*names, SUMS}))
    problems = problems or _contradictions(folder, sums)
    return ReleaseVerdict(problems, "" if problems else _checked(folder, sums))


def _once(problems: Sequence[str]) -> list[str]:
    """The first problem of every file."""
    first: dict[str, str] = {}
    for problem in problems:
        first.setdefault(problem.split(": ", 1)[0], problem)
    return list(first.values())


def _altered(folder: Place, sums: Mapping[str, str]) -> list[str]:
    """Files whose bytes are not those of SHA256SUMS.

    Tars and tables are hashed by the check of shards: here only what their markers promise is compared, where those
    are whole themselves.
    """
    promised: dict[str, str] = {}
    found = {name: _sha256(folder / name) for name in sums if not name.endswith((".tar", ".parquet"))}
    for name in (name for name, sha256 in found.items() if name.endswith(".json") and sha256 == sums[name]):
        promised |= _promised(folder, name)
    found = {name: found.get(name) or promised.get(name) or _sha256(folder / name) for name in sums}
    return [f"{folder / name}: sha256 is not that of {SUMS}" for name in sums if found[name] != sums[name]]


def _sha256(path: Place) -> str:
    with fetched(path) as file:
        return sha256_file(file)


def _promised(folder: Place, name: str) -> dict[str, str]:
    """What a done-marker says of its tar and its table."""
    try:
        report = ShardReport.from_json((folder / name).read_bytes())
    except ValueError:
        return {}
    shard = ShardPath((folder / name).with_suffix(".tar"))
    return {shard.tar.name: report.sha256, shard.table.name: report.parquet_sha256}


def _contradictions(folder: Place, sums: Mapping[str, str]) -> list[str]:
    """Tables and descriptions that do not fit shards though their own bytes are as SHA256SUMS says."""
    problems = _croissant(folder, sums)
    pairs = sum(ShardReport.from_json(shard.done.read_bytes()).samples for shard in shards_in(folder))
    credited = read_table_bytes((folder / ATTRIBUTION).read_bytes())["pairs"].to_pylist()
    if sum(credited) != pairs:
        problems.append(f"{folder / ATTRIBUTION}: credits {sum(credited)} pairs, the shards hold {pairs}")
    stated = json.loads((folder / PROVENANCE).read_bytes()).get("pairs")
    if stated != pairs:
        problems.append(f"{folder / PROVENANCE}: states {stated} pairs, the shards hold {pairs}")
    return problems


def _croissant(folder: Place, sums: Mapping[str, str]) -> list[str]:
    path = folder / CROISSANT
    try:
        files = [part for part in json.loads(path.read_bytes())["distribution"] if "contentUrl" in part]
        described = {part["contentUrl"]: part["sha256"] for part in files}
    except (ValueError, KeyError, TypeError):
        return [f"{path}: not a Croissant description of a release"]
    shards = {shard.tar.name: sums.get(shard.tar.name) for shard in shards_in(folder)}
    wrong = sorted(name for name, sha256 in described.items() if sums.get(name) != sha256)
    missing = sorted(shards.keys() - described.keys())
    return [f"{path}: another sha256 for {name} than {SUMS}" for name in wrong] + [
        f"{path}: does not describe {name}" for name in missing
    ]


def _checked(folder: Place, sums: Mapping[str, str]) -> str:
    facts = json.loads((folder / PROVENANCE).read_bytes())
    size = sum(size_of(folder / name) or 0 for name in sums)
    shards = shards_in(folder)
    photographs = read_table_bytes((folder / ATTRIBUTION).read_bytes()).num_rows
    return (
        f"{folder}: release {facts['name']} {facts['version']}: {len(sums)} files, {size:,} bytes, as in {SUMS}; "
        f"{len(shards)} shards, {facts['pairs']} pairs, every member and count as promised; "
        f"{photographs} photographs credited"
    )
