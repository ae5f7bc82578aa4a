"""The tables that say which images there are: pairs, photographs, and what was left out and why.

One schema per table (DESIGN, section 3), Parquet on disk. The same records give the same bytes, in whatever order they
were found.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa

from sigforge.core.errors import UserError
from sigforge.core.files import atomic_path
from sigforge.core.parquet import read_table, write_parquet
from sigforge.core.storage import Place
from sigforge.dataset.tasks import SPLITS

_ROWS = 1 << 16  # of a table, held or written at once


@dataclass(frozen=True)
class Pair:
    """Two registered images of one scene; ``split`` is empty until :func:`assign_splits` has decided."""

    pair_id: str
    task: str
    subtask: str
    split: str
    a_path: str
    b_path: str
    a_sha256: str
    b_sha256: str
    height: int
    width: int
    a_channels: int
    b_channels: int
    source: str
    licence: str


@dataclass(frozen=True)
class Photo:
    """One photograph and the terms it may be used under."""

    photo_id: str
    path: str
    sha256: str
    phash: str
    height: int
    width: int
    channels: int
    source: str
    licence: str
    licence_url: str
    author: str
    allows_derivatives: bool
    allows_commercial: bool


@dataclass(frozen=True)
class Quarantined:
    """A file that was left out: by which stage, for which reason (one word), and what a person should know."""

    path: str
    stage: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Levels:
    """What an image file holds: bits per channel, and the lowest and highest level in use, of 1."""

    path: str
    bit_depth: int
    low: float
    high: float


def _schema(record: type, key: str = "") -> pa.Schema:
    """Columns of a record type; ``key`` names the column whose values must differ."""
    types = {str: pa.string(), int: pa.int32(), bool: pa.bool_(), float: pa.float64()}
    fields = [
        pa.field(field.name, types[cast(type, field.type)], nullable=False) for field in dataclasses.fields(record)
    ]
    return pa.schema(fields, metadata={"key": key} if key else None)


PAIRS, PHOTOS, QUARANTINE = _schema(Pair, "pair_id"), _schema(Photo, "photo_id"), _schema(Quarantined)
LEVELS = _schema(Levels)


def write_table(records: Iterable[object], path: str | Place, schema: pa.Schema) -> None:
    """Write dataclass records as Parquet, sorted, atomically; the same records give the same bytes.

    Args:
        records: dataclass instances with the schema's columns, in any order.
        path: the file to write.
        schema: ``PAIRS``, ``PHOTOS``, ``QUARANTINE`` or another; rows are sorted by its columns from left to right, and
            the column named by its metadata ``key``, if any, must hold no value twice.

    Raises:
        UserError: a doubled key, or the file cannot be written.
    """
    rows = [{name: getattr(record, name) for name in schema.names} for record in records]
    rows.sort(key=lambda row: [(value is not None, value) for value in row.values()])
    _refuse_doubles(rows, (schema.metadata or {}).get(b"key", b"").decode(), str(path))
    with atomic_path(path) as temporary:
        # Every choice that reaches the bytes is spelt out, so that a new default of pyarrow changes nothing.
        write_parquet(
            pa.Table.from_pylist(rows, schema=schema),
            temporary,
            version="2.6",
            data_page_version="1.0",
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            write_statistics=True,
            row_group_size=_ROWS,
        )


def read_pairs(path: str | Path, split: str | None = None) -> list[Pair]:
    """Read a pair manifest, or the pairs of one split.

    Raises:
        UserError: no such file, not Parquet, other columns than ``PAIRS``, or an unknown split.
    """
    if split is not None and split not in SPLITS:
        raise UserError(f"split {split!r} is unknown: choose one of {', '.join(SPLITS)}")
    return [pair for pair in _read(path, Pair, PAIRS) if split in (None, pair.split)]


def read_photos(path: str | Path) -> list[Photo]:
    """Read a photograph manifest; raises UserError as :func:`read_pairs`."""
    return _read(path, Photo, PHOTOS)


def read_photo_table(path: str | Path) -> pa.Table:
    """The same as columns, for manifests of millions; raises UserError as :func:`read_pairs`."""
    return _read_table(path, PHOTOS)


def photo_table(photos: Iterable[Photo] | pa.Table) -> pa.Table:
    """Photographs as columns, in the order given; a table passes unchanged."""
    if isinstance(photos, pa.Table):
        return photos
    return pa.Table.from_pylist([vars(photo) for photo in photos], schema=PHOTOS)


def photos_of(table: pa.Table) -> list[Photo]:
    """The rows of a table as records."""
    return [Photo(**row) for row in table.to_pylist()]


def read_quarantine(path: str | Path) -> list[Quarantined]:
    """Read a quarantine table; raises UserError as :func:`read_pairs`."""
    return _read(path, Quarantined, QUARANTINE)


def _refuse_doubles(rows: Sequence[dict], key: str, path: str | Path) -> None:
    for row, following in itertools.pairwise(rows):
        if key and row[key] == following[key]:
            raise UserError(f"{path}: {key} {row[key]!r} appears twice: give each source a name of its own")


def _read(path: str | Path, record: type, schema: pa.Schema) -> list:
    return [record(**row) for row in _read_table(path, schema).to_pylist()]


def _read_table(path: str | Path, schema: pa.Schema) -> pa.Table:
    table = read_table(path)
    found, wanted = ({field.name: str(field.type) for field in s} for s in (table.schema, schema))
    if wrong := sorted({name for name, _ in found.items() ^ wanted.items()}):
        problems = (f"{n} ({wanted.get(n, 'nothing')} expected, {found.get(n, 'nothing')} found)" for n in wrong)
        raise UserError(f"{path}: wrong columns: {', '.join(problems)}: write it again with this version")
    return table.select(schema.names)
