"""The tables that say which images there are: pairs, photographs, and what was left out and why.

One schema per table (DESIGN, section 3), Parquet on disk. The same records give the same bytes, in whatever order they
were found.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.fft

from components.colour import luma
from components.errors import UserError
from components.files import atomic_path, hash_of, sha256_bytes

SPLITS = ("train", "val", "test")
MODALITIES: dict[str, dict[str, tuple[str, str]]] = {
    "vif": {"vif": ("ir", "vis")},
    "mif": {"mri-ct": ("ct", "mri"), "mri-pet": ("pet", "mri"), "mri-spect": ("spect", "mri")},
    "mfif": {"mfif": ("near", "far")},
    "mef": {"mef": ("under", "over")},
}
TASKS = tuple(MODALITIES)
_ROWS = 1 << 16  # of a table, held or written at once
_ROUNDING = 1e-9  # a share of 1 - 0.1 - 0.9 is meant to be 0


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


def _schema(record: type, key: str = "") -> pa.Schema:
    """Columns of a record type; ``key`` names the column whose values must differ."""
    types = {str: pa.string(), int: pa.int32(), bool: pa.bool_()}
    fields = [pa.field(field.name, types[field.type], nullable=False) for field in dataclasses.fields(record)]
    return pa.schema(fields, metadata={"key": key} if key else None)


PAIRS, PHOTOS, QUARANTINE = _schema(Pair, "pair_id"), _schema(Photo, "photo_id"), _schema(Quarantined)


def modalities(task: str, subtask: str | None = None) -> tuple[str, str]:
    """Return the modality names of sources ``a`` and ``b``.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        subtask: needed where the task has several.

    Raises:
        UserError: an unknown or missing name; the message lists the choices.

    Example:
        >>> modalities("mif", "mri-pet")
        ('pet', 'mri')
    """
    if task not in MODALITIES:
        raise UserError(f"task {task!r} is unknown: choose one of {', '.join(TASKS)}")
    subtasks = MODALITIES[task]
    if subtask is None and len(subtasks) == 1:
        return next(iter(subtasks.values()))
    if subtask not in subtasks:
        raise UserError(f"subtask {subtask!r} of task {task!r} is unknown: choose one of {', '.join(subtasks)}")
    return subtasks[subtask]


def all_modalities(task: str) -> tuple[str, ...]:
    """The modalities of all sub-tasks, each once.

    Example:
        >>> all_modalities("mif")
        ('ct', 'mri', 'pet', 'spect')
    """
    return tuple(dict.fromkeys(name for names in MODALITIES[task].values() for name in names))


def write_table(records: Iterable[object], path: str | Path, schema: pa.Schema) -> None:
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
    _refuse_doubles(rows, (schema.metadata or {}).get(b"key", b"").decode(), path)
    with atomic_path(path) as temporary:
        # Every choice that reaches the bytes is spelt out, so that a new default of pyarrow changes nothing.
        pq.write_table(
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


def fingerprint_of(photos: pa.Table) -> str:
    """Hex sha256 of all that a synthetic sample takes from its photograph; where the files lie does not count.

    Example:
        >>> terms = ("CC0", "", "somebody", True, True)
        >>> here, there = (photo_table([Photo("p", path, "1", "2", 64, 64, 3, "s", *terms)]) for path in ("x", "y"))
        >>> fingerprint_of(here) == fingerprint_of(there) != fingerprint_of(here.slice(0, 0))
        True
    """
    return hash_of([[name, _column_hash(photos[name])] for name in photos.column_names if name != "path"])


def assign_splits(
    ids: Iterable[str], fractions: Mapping[str, float], seed: int, groups: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Divide ids into splits of the asked sizes, by the rank of each id's hash.

    Ids stand in the order of sha256(seed, id), and the row is cut in the order test, val, train at the fractions. New
    ids never change the order of old ones, so an old id changes its split only where it stands near a cut; moving the
    cut between val and train leaves test alone. A split that would stay empty takes the nearest group from a split that
    has another to spare.

    Args:
        ids: distinct names.
        fractions: share of each split, summing to 1.
        seed: another seed, another division.
        groups: base photograph (say) of each id; a group stays together. An id without one is its own group.

    Returns:
        The sorted ids of every split named in ``fractions``.

    Raises:
        UserError: fractions that are negative or do not sum to 1, or an unknown split.

    Example:
        >>> assign_splits("abcdef", {"train": 0.5, "val": 0.25, "test": 0.25}, seed=0)
        {'train': ['b', 'c', 'e'], 'val': ['a', 'd'], 'test': ['f']}
    """
    ranges = _ranges(fractions)
    members: dict[str, list[str]] = {}
    for name in sorted(set(ids)):
        members.setdefault((groups or {}).get(name, name), []).append(name)
    places = _places(members, seed)
    home = {group: next(s for s, (low, high) in ranges.items() if low <= at < high) for group, at in places.items()}
    _fill_empty(home, places, ranges)
    return {split: sorted(n for g, where in home.items() if where == split for n in members[g]) for split in fractions}


def phash(image: np.ndarray) -> str:
    """64-bit perceptual hash in hex: the 8x8 lowest DCT coefficients of a 32x32 luma thumbnail, against their median.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` in [0, 1].

    Example:
        >>> y, x = np.mgrid[:64, :64] / 64
        >>> image = np.sin(5 * x * x + 3 * y) / 2 + 0.5
        >>> phash(image) == phash(0.8 * image), phash(image) == phash(image.T)
        (True, False)
    """
    thumbnail = cv2.resize(np.asarray(luma(image), np.float64), (32, 32), interpolation=cv2.INTER_AREA)
    # Rounded, or coefficients that are zero but for arithmetic noise would flip bits between machines.
    low = scipy.fft.dctn(thumbnail, norm="ortho")[:8, :8].round(6)
    return np.packbits(low > np.median(low)).tobytes().hex()


def _column_hash(column: pa.ChunkedArray) -> str:
    """Of the values in order, many at once: a loop over a million rows would take seconds."""
    digest = hashlib.sha256()
    for start in range(0, len(column), _ROWS):
        texts = column.slice(start, _ROWS).cast(pa.string()).combine_chunks()
        joined = pc.binary_join(pa.ListArray.from_arrays([0, len(texts)], texts), "\x1f")
        digest.update(joined[0].as_buffer())
        digest.update(b"\x1f")
    return digest.hexdigest()


def _refuse_doubles(rows: Sequence[dict], key: str, path: str | Path) -> None:
    for row, following in zip(rows, rows[1:], strict=False):
        if key and row[key] == following[key]:
            raise UserError(f"{path}: {key} {row[key]!r} appears twice: give each source a name of its own")


def _read(path: str | Path, record: type, schema: pa.Schema) -> list:
    return [record(**row) for row in _read_table(path, schema).to_pylist()]


def _read_table(path: str | Path, schema: pa.Schema) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:  # by row group: a million photographs at once would take twice their size
            groups = [file.read_row_group(index) for index in range(file.num_row_groups)]
            table = pa.concat_tables(groups) if groups else file.schema_arrow.empty_table()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such table: run the stage that writes it first") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: not a readable Parquet table: write it again") from error
    found, wanted = ({field.name: str(field.type) for field in s} for s in (table.schema, schema))
    if wrong := sorted({name for name, _ in found.items() ^ wanted.items()}):
        problems = (f"{n} ({wanted.get(n, 'nothing')} expected, {found.get(n, 'nothing')} found)" for n in wrong)
        raise UserError(f"{path}: wrong columns: {', '.join(problems)}: write it again with this version")
    return table.select(schema.names)


def _ranges(fractions: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """The stretch of the row, from 0 to 1, that belongs to each split."""
    if unknown := set(fractions) - set(SPLITS):
        raise UserError(f"split {min(unknown)!r} is unknown: choose from {', '.join(SPLITS)}")
    if min(fractions.values(), default=-1) < -_ROUNDING or abs(sum(fractions.values()) - 1) > _ROUNDING:
        raise UserError(f"split fractions {dict(fractions)} must be non-negative and sum to 1: correct them")
    ranges, low = {}, 0.0
    for split in reversed(SPLITS):
        share = fractions.get(split, 0.0)
        high = low + share if share > _ROUNDING else low
        ranges[split] = (low, high)
        low = high
    last = max((split for split, (low, high) in ranges.items() if high > low), key=ranges.get)
    return ranges | {last: (ranges[last][0], 1.0)}  # the sum of the fractions may be a rounding short of 1


def _places(members: Mapping[str, Sequence[str]], seed: int) -> dict[str, float]:
    """Where the middle of each group stands in the row, in [0, 1)."""
    total, before, places = sum(map(len, members.values())), 0, {}
    for group in sorted(members, key=lambda group: sha256_bytes(f"{seed}:{group}".encode())):
        places[group] = (before + len(members[group]) / 2) / total
        before += len(members[group])
    return places


def _fill_empty(home: dict[str, str], places: Mapping[str, float], ranges: Mapping[str, tuple[float, float]]) -> None:
    """Give every empty split of non-zero width one group, while some split holds two or more."""
    for split, (low, high) in ranges.items():
        if high == low or split in home.values():
            continue
        sizes = Counter(home.values())
        spare = [group for group, where in home.items() if sizes[where] > 1]
        if spare:
            home[min(spare, key=lambda group: (max(low - places[group], places[group] - high), group))] = split
