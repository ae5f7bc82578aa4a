"""From a folder and an entry of the catalogue, or a rule of one's own, to a manifest on disk."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sigforge.core.errors import UserError
from sigforge.core.parallel import run_units
from sigforge.core.progress import progress
from sigforge.dataset.catalogue.entry import CatalogueEntry
from sigforge.dataset.catalogue.reading import DatasetImport, read_dataset
from sigforge.dataset.sequences import write_sequences
from sigforge.dataset.sources.folders import check_pair, check_photo, drop_duplicates
from sigforge.dataset.splits import complete_splits
from sigforge.dataset.tables import PAIRS, PHOTOS, QUARANTINE, Pair, Photo, Quarantined, write_table

FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


@dataclass(frozen=True)
class ImportReport:
    """What came of an import.

    Attributes:
        manifest: the table that was written.
        records: pairs or photographs in it.
        splits: how many of each.
        left_out: files that are in the quarantine table.
        odd: sentences on what a user should look at.
        layout: templates that fitted.
    """

    manifest: Path
    records: int
    splits: dict[str, int]
    left_out: tuple[Quarantined, ...]
    odd: tuple[str, ...]
    layout: tuple[str, ...]


def import_dataset(
    entry: CatalogueEntry,
    root: Path,
    out: Path,
    *,
    seed: int = 0,
    workers: int = 1,
) -> ImportReport:
    """Recognise, check and split a data set, and write its manifest and quarantine.

    Args:
        entry: of the catalogue.
        root: where it was unpacked.
        out: folder of the tables.
        seed: of the division of pairs without a published split.
        workers: processes that decode.

    Raises:
        UserError: as :func:`sigforge.dataset.catalogue.reading.read_dataset`, or nothing can be used.
    """
    read = read_dataset(entry, root)
    good, bad = _check(entry.name, read, workers)
    records, doubles = drop_duplicates(good)
    left_out = (*read.quarantined, *bad, *doubles)
    if not records:
        raise UserError(f"{root}: none of {len(left_out)} files can be used; the first: {left_out[0].detail}")
    splits: Counter[str] = Counter()
    if entry.task == "photos":
        manifest, schema = out / "photos.parquet", PHOTOS
    else:
        manifest, schema = out / "pairs.parquet", PAIRS
        split_of = complete_splits([pair.pair_id for pair in records], read.splits, FRACTIONS, seed)
        records = [replace(pair, split=split_of[pair.pair_id]) for pair in records]
        splits.update(pair.split for pair in records)
    write_table(records, manifest, schema)
    write_table(left_out, out / "quarantine.parquet", QUARANTINE)
    if read.sequences:
        write_sequences(read.sequences, out / "sequences.parquet")
    return ImportReport(manifest, len(records), dict(sorted(splits.items())), left_out, read.odd, read.layout)


def _check(name: str, read: DatasetImport, workers: int) -> tuple[list[Any], list[Quarantined]]:
    work: Callable[[Any], Pair | Photo | Quarantined] = check_pair if read.pairs else check_photo
    candidates = read.pairs or read.photos
    good: list[Pair | Photo] = []
    bad: list[Quarantined] = []
    with progress(f"import {name}", len(candidates)) as bar:
        for result in run_units(work, candidates, workers=workers):
            if isinstance(result, Quarantined):
                bad.append(result)
            else:
                good.append(result)
            bar.advance()
    return good, bad
