"""Stage ``ingest``: read or simulate the images of one set, check every one, quarantine what is bad, fix the splits.

Nothing is copied from real folders: the manifest names the files where they lie, with their hashes.
"""

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sigforge.config.load import resolve_path
from sigforge.config.sections import IngestPairs, IngestPhotos
from sigforge.core.errors import UserError
from sigforge.core.escape import escape_terminal
from sigforge.core.parallel import run_units
from sigforge.core.progress import progress
from sigforge.core.registry import Registry
from sigforge.dataset.doubts import told
from sigforge.dataset.registration.pairs import REGISTRATIONS, register_pair
from sigforge.dataset.sources.folders import (
    Examined,
    drop_duplicates,
    examine_pair,
    examine_photo,
)
from sigforge.dataset.sources.registry import (
    PAIR_SOURCES,
    PHOTO_SOURCES,
    PairCandidate,
    PhotoCandidate,
    SourceFinds,
    SourceKind,
    SourceRequest,
)
from sigforge.dataset.splits import complete_splits
from sigforge.dataset.tables import LEVELS, PAIRS, PHOTOS, QUARANTINE, Pair, Quarantined, write_table
from sigforge.dataset.tasks import TASKS
from sigforge.stages._base import StageContext, main


def run(context: StageContext) -> None:
    """Make the manifest of one task's pairs, or of the photographs."""
    folder = context.folder()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if context.task == "photos":
        ingest_photos(context, context.params.ingest.photos, folder)
    else:
        ingest_pairs(context, getattr(context.params.ingest, context.task), folder)


def ingest_pairs(context: StageContext, config: IngestPairs, folder: Path) -> None:
    """Write ``pairs.parquet``, ``levels.parquet`` and ``quarantine.parquet`` of one task.

    Args:
        context: of the stage.
        config: ``ingest.<task>`` of params.yaml.
        folder: where the tables go, and the images of simulated pairs.

    Raises:
        UserError: fewer usable pairs than ``min_pairs``.
    """
    found = find_all(context, PAIR_SOURCES, config.sources, folder)
    checked, bad = _check(context, folder, examine_pair, found.candidates)
    fractions = {
        "train": 1 - config.splits.val - config.splits.test,
        "val": config.splits.val,
        "test": config.splits.test,
    }
    checked = _register(context, config, folder, checked)
    pairs = with_splits(checked, fractions, context.params.seed, found.groups, found.splits)
    _finish(context, folder, [*found.quarantined, *bad], len(pairs), config.min_pairs, "pairs")
    write_table(pairs, folder / "pairs.parquet", PAIRS)
    for split in fractions:
        context.ledger.value(f"{split}_pairs", sum(pair.split == split for pair in pairs))
    context.ledger.dataset(f"{context.task} pairs", folder / "pairs.parquet")


def ingest_photos(context: StageContext, config: IngestPhotos, folder: Path) -> None:
    """Write ``photos.parquet``, ``levels.parquet`` and ``quarantine.parquet``.

    Args:
        context: of the stage.
        config: ``ingest.photos`` of params.yaml.
        folder: where the tables go, and the demo's photographs.

    Raises:
        UserError: fewer usable photographs than ``min_photos``.
    """
    found = find_all(context, PHOTO_SOURCES, config.sources, folder)
    photos, bad = _check(context, folder, examine_photo, found.candidates)
    _finish(context, folder, [*found.quarantined, *bad], len(photos), config.min_photos, "photos")
    write_table(photos, folder / "photos.parquet", PHOTOS)
    context.ledger.dataset("photographs", folder / "photos.parquet")


def find_all(context: StageContext, kinds: Registry[SourceKind], sources: Sequence[Any], folder: Path) -> SourceFinds:
    """What all sources of a set hold, one after the other; their notes are said.

    Args:
        context: of the stage.
        kinds: of sources of pairs, or of photographs.
        sources: as params.yaml names them.
        folder: of the set.
    """
    request = SourceRequest(context.task, context.params.seed, folder, resolve_path)
    every: SourceFinds = SourceFinds([])
    for source in sources:
        found = kinds.get(source.kind).find(source, request)
        for note in found.notes:
            print(escape_terminal(f"{context.name}: {note}"), file=sys.stderr)
        every = every + found
    return every


def with_splits(
    pairs: Sequence[Pair],
    fractions: Mapping[str, float],
    seed: int,
    groups: Mapping[str, str],
    published: Mapping[str, str] | None = None,
) -> list[Pair]:
    """The same pairs with their splits; pairs of one group stay together.

    Args:
        pairs: without splits.
        fractions: of the pairs whose split is not published.
        seed: of the division.
        groups: base picture by pair's id, for those that share one.
        published: split by pair's id, where its authors have published one.
    """
    split_of = complete_splits([pair.pair_id for pair in pairs], published or {}, fractions, seed, groups)
    return [replace(pair, split=split_of[pair.pair_id]) for pair in pairs]


def _register(context: StageContext, config: IngestPairs, folder: Path, pairs: list[Pair]) -> list[Pair]:
    """Pairs laid on one another as ``ingest.<task>.register`` asks; what was found is written beside the manifest."""
    how = config.register_pairs
    if how == "none":
        return pairs
    done, records = [], []
    workers = context.params.compute.workers if len(pairs) > 20 else 1
    with progress(f"{context.name} register", len(pairs)) as bar:
        for pair, record in run_units(
            partial(register_pair, how=how, folder=folder / "registered"), pairs, workers=workers
        ):
            done.append(pair)
            records.append(record)
            bar.advance()
    write_table(records, folder / "registration.parquet", REGISTRATIONS)
    counted = Counter(record.reason or "moved" for record in records)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counted.items()))
    print(
        f"{context.name}: registration by {records[0].model}: {told}; see {folder}/registration.parquet",
        file=sys.stderr,
    )
    return done


def _check(
    context: StageContext,
    folder: Path,
    examine: Callable[[Any], Examined],
    candidates: Sequence[PairCandidate | PhotoCandidate],
) -> tuple[list[Any], list[Quarantined]]:
    """Check candidates over processes; what is good, and what is quarantined. What is odd is said."""
    examined: list[Examined] = []
    with progress(context.name, len(candidates)) as bar:
        for found in run_units(
            examine, candidates, workers=context.params.compute.workers if len(candidates) > 200 else 1
        ):
            examined.append(found)
            bar.advance()
    results = [found.result for found in examined]
    bad = [result for result in results if isinstance(result, Quarantined)]
    good: list[Any] = [result for result in results if not isinstance(result, Quarantined)]
    write_table((levels for found in examined for levels in found.levels), folder / "levels.parquet", LEVELS)
    for line in told((doubt for found in examined for doubt in found.doubts), len(good)):
        print(escape_terminal(f"warning: {context.name}: {line}"), file=sys.stderr)
    kept, doubles = drop_duplicates(good)
    return kept, bad + doubles


def _finish(context: StageContext, folder: Path, bad: list[Quarantined], good: int, least: int, what: str) -> None:
    """Record the quarantine, say how many were left out, and stop if too few are left."""
    table = folder / "quarantine.parquet"
    write_table(bad, table, QUARANTINE)
    context.ledger.value(what, good)
    context.ledger.value("quarantined", len(bad))
    for item in bad[:10]:
        line = f"{context.name}: quarantined {item.path}: {item.reason}: {item.detail}"
        print(escape_terminal(line), file=sys.stderr)
    if len(bad) > 10:
        print(f"{context.name}: and {len(bad) - 10} more, listed in {table}", file=sys.stderr)
    if good < least:
        first = f"; the first: {bad[0].path}: {bad[0].reason}" if bad else ""
        raise UserError(
            f"{good} usable {what}, fewer than 'ingest.{context.task}.min_{what}' {least}; "
            f"{len(bad)} quarantined{first}; mend the images, give more, or lower that key"
        )


if __name__ == "__main__":
    sys.exit(main("ingest", run, sections=("ingest",), tasks=("photos", *TASKS)))
