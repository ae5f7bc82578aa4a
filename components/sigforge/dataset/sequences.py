"""Scenes of more than two images: exposures from the darkest on, or focus slices in their order."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.core.parquet import read_table
from sigforge.dataset.tables import write_table

SEQUENCES = pa.schema(
    [
        pa.field("scene_id", pa.string(), nullable=False),
        pa.field("place", pa.int32(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class SequenceImage:
    """One image of a scene; its ``scene_id`` is the ``pair_id`` of the pair that was made of the scene."""

    scene_id: str
    place: int
    path: str
    sha256: str


def write_sequences(scenes: Iterable[tuple[str, Iterable[str]]], path: Path) -> None:
    """Write scenes, each an id and its files in order.

    Raises:
        UserError: a file cannot be read, or the table not be written.
    """
    try:
        rows = [
            SequenceImage(scene_id, place, file, sha256_file(file))
            for scene_id, files in scenes
            for place, file in enumerate(files)
        ]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}): check the path") from error
    write_table(rows, path, SEQUENCES)


def read_sequences(path: Path) -> dict[str, tuple[str, ...]]:
    """The files of every scene, in order, by its id.

    Raises:
        UserError: no such table, or one of another kind.
    """
    try:
        rows = read_table(path).to_pylist()
        rows.sort(key=lambda row: (row["scene_id"], row["place"]))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such table: 'sigforge data import' writes one for data sets of sequences"
        ) from None
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise UserError(f"{path}: not a table of sequences: write it again") from error
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        found[row["scene_id"]] = (*found.get(row["scene_id"], ()), row["path"])
    return found
