"""Stage ``fuse``: every configured fusion method fuses every pair of a task; only what is missing is computed."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sigforge.config.load import resolve_path
from sigforge.core.device import pick_device
from sigforge.core.errors import UserError
from sigforge.core.progress import Progress, progress
from sigforge.dataset.corpus import (
    CORPUS,
    FAILURES,
    CorpusEntry,
    CorpusFailure,
    check_cells,
    image_path,
    read_corpus,
    write_corpus,
    write_failures,
)
from sigforge.dataset.tables import Pair, read_pairs
from sigforge.methods.produce import CorpusCompute, CorpusRecipe, corpus_recipe, pair_inputs_hash
from sigforge.stages._base import StageContext, main, open_folder

WRITE_EVERY = 5.0
"""Seconds between two writes of the table: what a kill may cost."""


def run(context: StageContext) -> None:
    """Fuse all pairs of a task with all its methods."""
    manifest = context.folder("ingest") / "pairs.parquet"
    pairs = read_pairs(manifest)
    methods: dict[str, dict[str, Any]] = getattr(context.params.fuse, context.task)
    root, problems = context.folder(), []
    for stale in sorted(root.glob("*/")):
        if stale.name not in methods:
            shutil.rmtree(stale)
    with progress(context.name, len(pairs) * len(methods)) as bar:
        for name, options in methods.items():
            try:
                seconds = fuse_corpus(root / name, name, options, pairs, context, bar)
            except UserError as error:  # the other methods go on
                problems.append(f"method '{name}': {error}")
                continue
            if seconds:
                context.ledger.value(f"seconds_per_pair_{name}", sum(seconds) / len(seconds))
    if problems:
        raise UserError(problems[0] + (f" (and {len(problems) - 1} more methods)" if len(problems) > 1 else ""))
    context.ledger.value("failed_cells", check_cells(root, methods, pairs))
    context.ledger.value("pairs", len(pairs))
    context.ledger.dataset(f"{context.task} pairs", manifest)


def fuse_corpus(
    folder: Path, name: str, options: dict[str, Any], pairs: Sequence[Pair], context: StageContext, bar: Progress
) -> list[float]:
    """Bring one method's corpus up to date.

    Args:
        folder: the corpus; emptied if what made it has changed.
        name: of the method.
        options: those of ``fuse.<task>.<name>``.
        pairs: all pairs of the task.
        context: of the stage.
        bar: advances by one for every pair.

    Returns:
        the seconds of each newly fused pair.

    Raises:
        UserError: the method cannot be used, or fused not a single pair.
    """
    compute = context.params.compute
    where = CorpusCompute(pick_device(compute.device).torch.type, compute.workers, resolve_path)
    recipe = corpus_recipe(folder, name, options, context.task, pairs, where)
    open_folder(folder, recipe.identity)
    entries = {entry.pair_id: entry for entry in _still_valid(folder, recipe, pairs)}
    missing = [pair for pair in pairs if pair.pair_id not in entries]
    bar.find(len(entries))
    for stray in {path.stem for path in folder.glob("*.png")} - set(entries):
        image_path(folder, stray).unlink()
    failures: list[CorpusFailure] = []
    try:
        written = time.monotonic()
        for results in recipe.make(missing):
            entries.update((result.pair_id, result) for result in results if isinstance(result, CorpusEntry))
            failures += [result for result in results if isinstance(result, CorpusFailure)]
            bar.advance(len(results), note=name)
            if time.monotonic() - written > WRITE_EVERY:
                write_corpus(folder / CORPUS, entries.values())
                written = time.monotonic()
    finally:
        write_corpus(folder / CORPUS, entries.values())
        write_failures(folder / FAILURES, failures)
    _report(folder, failures, len(pairs))
    return [entries[pair.pair_id].seconds for pair in missing if pair.pair_id in entries]


def _still_valid(folder: Path, recipe: CorpusRecipe, pairs: Sequence[Pair]) -> list[CorpusEntry]:
    """Entries whose pair is still in the manifest, made from the same files, and whose image is there."""
    inputs = {pair.pair_id: pair_inputs_hash(pair, recipe.inputs(pair)) for pair in pairs}
    return [
        entry
        for entry in read_corpus(folder)
        if inputs.get(entry.pair_id) == entry.sources_sha256 and image_path(folder, entry.pair_id).exists()
    ]


def _report(folder: Path, failures: Sequence[CorpusFailure], total: int) -> None:
    """One line about the failures; where nothing but failures came out, it is an error."""
    if not failures:
        return
    first = failures[0]
    if len(failures) == total:
        raise UserError(f"fused none of {total} pairs; {first.pair_id}: {first.detail}")
    line = f"{folder}: {len(failures)} of {total} pairs not fused, see {FAILURES}; {first.pair_id}: {first.detail}"
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main("fuse", run, sections=("fuse", "compute")))
