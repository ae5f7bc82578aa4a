"""Fused-image corpora: per task and method one lossless image per pair, and the tables that say where each is from.

``corpus.parquet`` has a row per image, ``failures.parquet`` one per pair that the method could not fuse. Every pair of
the manifest is in one of the two.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from sigforge.core.errors import UserError
from sigforge.core.files import atomic_path
from sigforge.core.parquet import read_table, write_parquet
from sigforge.dataset.tables import Pair

CORPUS, FAILURES = "corpus.parquet", "failures.parquet"


@dataclass(frozen=True)
class CorpusEntry:
    """One fused image of a corpus."""

    pair_id: str
    sha256: str
    sources_sha256: str
    seconds: float
    fingerprint: str


@dataclass(frozen=True)
class CorpusFailure:
    """A pair that could not be fused: the reason in one word, and what a person should know."""

    pair_id: str
    reason: str
    detail: str


def read_corpus(folder: Path) -> list[CorpusEntry]:
    """The table of one method's fused images; empty if there is none."""
    return _read(folder / CORPUS, CorpusEntry)


def read_failures(folder: Path) -> list[CorpusFailure]:
    """The pairs that one method could not fuse; empty if there is no table."""
    return _read(folder / FAILURES, CorpusFailure)


def write_corpus(path: Path, entries: Iterable[CorpusEntry]) -> None:
    """Write the table whole or not at all, sorted by pair."""
    _write(path, entries, CorpusEntry)


def write_failures(path: Path, failures: Iterable[CorpusFailure]) -> None:
    """Write the table of failures, or remove it where there are none."""
    failures = list(failures)
    if failures:
        _write(path, failures, CorpusFailure)
    else:
        path.unlink(missing_ok=True)


def image_path(folder: Path, pair_id: str) -> Path:
    """Where the fused image of a pair lies."""
    return folder / f"{pair_id}.png"


def corpora(root: Path) -> dict[str, dict[str, Path]]:
    """Method to (pair id to fused image) of everything fused for a task.

    Raises:
        UserError: nothing is.
    """
    folders = sorted(path.parent for path in root.glob(f"*/{CORPUS}"))
    if not folders:
        raise UserError(f"{root}: holds no fused corpus; run 'dvc repro fuse@{root.name}'")
    return {
        folder.name: {entry.pair_id: image_path(folder, entry.pair_id) for entry in read_corpus(folder)}
        for folder in folders
    }


def fused_by_all(pairs: Sequence[Pair], fused: dict[str, dict[str, Path]]) -> list[Pair]:
    """The pairs that every method has fused: what a complete table of (pair, method) can be made of.

    How many are left out, and by whose fault, is said on stderr.

    Raises:
        UserError: no pair is left.
    """
    kept = [pair for pair in pairs if all(pair.pair_id in paths for paths in fused.values())]
    if len(kept) == len(pairs):
        return kept
    counts = (f"{name} lacks {sum(pair.pair_id not in paths for pair in pairs)}" for name, paths in fused.items())
    lacking = ", ".join(count for count in counts if not count.endswith(" 0"))
    if not kept:
        raise UserError(f"no pair is fused by every method ({lacking}); mend the method or remove it")
    left_out = f"{len(pairs) - len(kept)} of {len(pairs)} pairs left out"
    print(f"{left_out}: not fused by every method ({lacking})", file=sys.stderr)
    return kept


def check_cells(root: Path, methods: Iterable[str], pairs: Sequence[Pair]) -> int:
    """Count the M x N cells of a task: every pair has, for every method, an image or a recorded failure.

    Returns:
        How many of the cells are failures.

    Raises:
        UserError: naming the first cell that has neither, or both.

    Args:
        root: folder of the task, one folder in it for every method.
        methods: names of the methods.
        pairs: all pairs of the task.
    """
    failed = 0
    for name in methods:
        folder = root / name
        images = [entry.pair_id for entry in read_corpus(folder) if image_path(folder, entry.pair_id).exists()]
        failures = [failure.pair_id for failure in read_failures(folder)]
        found, wanted = Counter(images + failures), Counter(pair.pair_id for pair in pairs)
        if wrong := sorted((found - wanted) + (wanted - found)):
            what = f"has {found[wrong[0]]} entries" if found[wrong[0]] else "has neither image nor recorded failure"
            mend = f"remove {folder} and run 'dvc repro fuse@{root.name}'"
            raise UserError(f"{folder}: pair '{wrong[0]}' of method '{name}' {what}; {mend}")
        failed += len(failures)
    return failed


def _read(path: Path, record: type) -> list[Any]:
    return [record(**row) for row in read_table(path).to_pylist()] if path.exists() else []


def _write(path: Path, records: Iterable[Any], record: type) -> None:
    types = {str: pa.string(), float: pa.float64()}
    schema = pa.schema([(field.name, types[cast(type, field.type)]) for field in fields(record)])
    rows = [asdict(item) for item in sorted(records, key=lambda item: str(item.pair_id))]
    with atomic_path(path) as temporary:
        write_parquet(pa.Table.from_pylist(rows, schema=schema), temporary)
