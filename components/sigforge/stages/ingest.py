"""Stage ``ingest``: read or simulate the images of one set, check every one, quarantine what is bad, fix the splits.

Nothing is copied from real folders: the manifest names the files where they lie, with their hashes.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sigforge.config.load import resolve_path
from sigforge.config.sections import (
    CatalogueSource,
    DemoSource,
    FolderPairs,
    FolderPhotos,
    IngestPairs,
    IngestPhotos,
    MirflickrPhotos,
)
from sigforge.core.errors import UserError
from sigforge.core.escape import escape_terminal
from sigforge.core.images import write_image
from sigforge.core.parallel import run_units
from sigforge.core.progress import progress
from sigforge.dataset.catalogue.entry import entry_of
from sigforge.dataset.catalogue.reading import DatasetImport, read_dataset
from sigforge.dataset.contents import Contents, contents
from sigforge.dataset.doubts import told
from sigforge.dataset.sources import demo, scenes
from sigforge.dataset.sources.folders import (
    Examined,
    PairCandidate,
    PhotoCandidate,
    drop_duplicates,
    examine_pair,
    examine_photo,
    pair_folders,
    photo_folder,
)
from sigforge.dataset.sources.mirflickr import mirflickr_photos
from sigforge.dataset.splits import complete_splits
from sigforge.dataset.tables import LEVELS, PAIRS, PHOTOS, QUARANTINE, Pair, Quarantined, write_table
from sigforge.dataset.tasks import SIMULATED, TASKS
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
    candidates: list[PairCandidate] = []
    quarantined: list[Quarantined] = []
    groups: dict[str, str] = {}
    published: dict[str, str] = {}
    for source in config.sources:
        if isinstance(source, DemoSource):
            found, base = simulate_pairs(context.task, source, context.params.seed, folder)
            candidates, groups = candidates + found, groups | base
        elif isinstance(source, CatalogueSource):
            read = _catalogue(context, source)
            candidates += read.pairs[: source.limit]
            quarantined += read.quarantined
            published |= read.splits if source.published else {}
        else:
            found, left = _folder_pairs(context, source)
            candidates, quarantined = candidates + found, quarantined + left
    checked, bad = _check(context, folder, examine_pair, candidates)
    fractions = {
        "train": 1 - config.splits.val - config.splits.test,
        "val": config.splits.val,
        "test": config.splits.test,
    }
    pairs = with_splits(checked, fractions, context.params.seed, groups, published)
    _finish(context, folder, quarantined + bad, len(pairs), config.min_pairs, "pairs")
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
    candidates: list[PhotoCandidate] = []
    quarantined: list[Quarantined] = []
    for source in config.sources:
        if isinstance(source, DemoSource):
            candidates += demo_photos(source, context.params.seed, folder)
        elif isinstance(source, CatalogueSource):
            read = _catalogue(context, source)
            candidates += read.photos[: source.limit]
            quarantined += read.quarantined
        elif isinstance(source, MirflickrPhotos):
            found, left = mirflickr_photos(resolve_path(source.path), source=source.name, limit=source.limit)
            candidates, quarantined = candidates + found, quarantined + left
        else:
            found, left = _folder_photos(context, source)
            candidates, quarantined = candidates + found, quarantined + left
    photos, bad = _check(context, folder, examine_photo, candidates)
    _finish(context, folder, quarantined + bad, len(photos), config.min_photos, "photos")
    write_table(photos, folder / "photos.parquet", PHOTOS)
    context.ledger.dataset("photographs", folder / "photos.parquet")


def simulate_pairs(
    task: str, source: DemoSource, seed: int, folder: Path
) -> tuple[list[PairCandidate], dict[str, str]]:
    """Simulate pairs and write them as PNG.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        source: how many, and of which side in pixels.
        seed: of the project.
        folder: images go into ``images/<modality>`` below it.

    Returns:
        the pairs, and the base picture of each by pair id, so that splits share none.
    """
    candidates, groups = [], {}
    for pair in scenes.simulate(task, source.count, source.size, seed):
        paths = [folder / "images" / name / f"{pair.pair_id}.png" for name in (pair.a_modality, pair.b_modality)]
        for path, image in zip(paths, (pair.a, pair.b), strict=True):
            write_image(path, image)
        a_path, b_path = map(str, paths)
        candidates.append(
            PairCandidate(pair.pair_id, task, pair.subtask or task, a_path, b_path, SIMULATED, pair.licence)
        )
        groups[pair.pair_id] = pair.base
    return candidates, groups


def demo_photos(source: DemoSource, seed: int, folder: Path) -> list[PhotoCandidate]:
    """Write tiles of the photographs inside the scikit-image wheel as PNG.

    Args:
        source: how many, and of which side in pixels.
        seed: of the project.
        folder: images go into ``images`` below it.
    """
    candidates = []
    for photo in demo.photographs(source.count, source.size, seed):
        path = folder / "images" / f"{photo.photo_id}.png"
        write_image(path, photo.image)
        terms = {name: getattr(photo, name) for name in ("source", "licence", "licence_url", "author")}
        rights = {name: getattr(photo, name) for name in ("allows_derivatives", "allows_commercial")}
        candidates.append(PhotoCandidate(photo.photo_id, str(path), **terms, **rights))
    return candidates


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


def _catalogue(context: StageContext, source: CatalogueSource) -> DatasetImport:
    """What an entry of the catalogue finds; what is odd is told on stderr."""
    entry, root = entry_of(source.name), resolve_path(source.root)
    if entry.task != context.task:
        raise UserError(f"ingest.{context.task}: {entry.title} is a data set of {entry.task}: name it there")
    read = read_dataset(entry, root)
    for line in read.odd:
        print(f"{context.name}: {line}", file=sys.stderr)
    return read


def _folder_pairs(context: StageContext, source: FolderPairs) -> tuple[list[PairCandidate], list[Quarantined]]:
    a, b = resolve_path(source.a), resolve_path(source.b)
    terms = {"source": source.name, "licence": source.licence, "limit": source.limit}
    found = pair_folders(a, b, task=context.task, subtask=source.subtask, **terms)
    _say_notes(context, contents(a), contents(b))
    return found


def _folder_photos(context: StageContext, source: FolderPhotos) -> tuple[list[PhotoCandidate], list[Quarantined]]:
    path = resolve_path(source.path)
    found, listed = (
        photo_folder(path, source=source.name, licence=source.licence, limit=source.limit),
        contents(path, deep=True),
    )
    _say_notes(context, listed)
    return found, list(listed.left_out)


def _say_notes(context: StageContext, *listed: Contents) -> None:
    """What else lies in the folders of a source."""
    for note in (note for found in listed for note in found.notes):
        print(escape_terminal(f"{context.name}: note: {note.path}: {note.detail}"), file=sys.stderr)


def _check(
    context: StageContext,
    folder: Path,
    examine: Callable[[PairCandidate | PhotoCandidate], Examined],
    candidates: Sequence[PairCandidate | PhotoCandidate],
) -> tuple[list, list[Quarantined]]:
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
    good = [result for result in results if not isinstance(result, Quarantined)]
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
