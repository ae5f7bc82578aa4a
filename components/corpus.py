"""Fused-image corpora: per task and method one lossless image per pair, and the table that says where each is from."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import UserError
from components.files import atomic_path

CORPUS = "corpus.parquet"


@dataclass(frozen=True)
class Entry:
    """One fused image of a corpus."""

    pair_id: str
    sha256: str
    sources_sha256: str
    seconds: float
    fingerprint: str


def read_corpus(folder: Path) -> list[Entry]:
    """The table of one method's fused images; empty if there is none."""
    path = folder / CORPUS
    return [Entry(**row) for row in pq.read_table(path).to_pylist()] if path.exists() else []


def corpora(root: Path) -> dict[str, dict[str, Path]]:
    """Method to (pair id to fused image) of everything fused for a task.

    Raises:
        UserError: nothing is.
    """
    folders = sorted(path.parent for path in root.glob(f"*/{CORPUS}"))
    if not folders:
        raise UserError(f"{root}: holds no fused corpus; run 'dvc repro fuse@{root.name}'")
    return {
        folder.name: {entry.pair_id: folder / f"{entry.pair_id}.png" for entry in read_corpus(folder)}
        for folder in folders
    }


def write_corpus(path: Path, entries: Iterable[Entry]) -> None:
    """Write the table whole or not at all, sorted by pair."""
    rows = [asdict(entry) for entry in sorted(entries, key=lambda entry: entry.pair_id)]
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)
