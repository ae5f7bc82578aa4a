"""Stage ``systems``: systems of other papers, as far as they are configured, learn from the task's real pairs.

Each has a folder of its own with ``model.safetensors`` and ``history.parquet``, and one below for every network that
only its training needs. A system whose options, inputs or code have changed is trained anew, the others stay.
"""

import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import torch

from sigforge.core.errors import UserError
from sigforge.core.provenance import module_of
from sigforge.core.seeds import seed_of
from sigforge.core.storage import Place
from sigforge.dataset.corpus import CORPUS, corpora, read_corpus
from sigforge.dataset.tables import Pair, read_pairs
from sigforge.methods.systems.options import Options
from sigforge.methods.systems.registry import SYSTEMS, parse_options
from sigforge.methods.systems.training import Material, Samples
from sigforge.methods.weights import MODEL
from sigforge.stages._base import StageContext, key_of, main, open_folder
from sigforge.stages._trained import train_in, training_pairs
from sigforge.training.planes import PlaneCache
from sigforge.training.run import TrainingRun


def run(context: StageContext) -> None:
    """Train every configured system of a task that is not trained yet."""
    configured = getattr(context.params.systems, context.task)
    open_root(context, configured)
    if not configured:
        return
    data = material(context, with_corpora=any(SYSTEMS.get(name).corpora for name in configured))

    def train(name: str) -> None:
        folder = open_folder(context.folder() / name, system_key(context, name))
        train_runs(context, name, data, folder)

    train_each(context, configured, train)


def open_root(context: StageContext, names: Collection[str]) -> None:
    """Make the stage's folder; what lies there of systems that are not named goes."""
    root = context.folder()
    root.mkdir(parents=True, exist_ok=True)
    for stale in sorted(root.glob("*/")):
        if stale.name not in names:
            shutil.rmtree(stale)


def train_each(context: StageContext, names: Iterable[str], train: Callable[[str], None]) -> None:
    """Train one system after the other; one that fails does not stop the others.

    Args:
        context: of the stage.
        names: of the systems.
        train: trains the system of a name; a UserError of it is kept until the end.

    Raises:
        UserError: some could not be trained.
    """
    problems = []
    for name in names:
        try:
            train(name)
        except UserError as error:
            problems.append(f"system '{name}': {error}")
        else:
            context.ledger.file(context.folder() / name / MODEL, f"models/{name}")
    if problems:
        raise UserError(problems[0] + (f" (and {len(problems) - 1} more systems)" if len(problems) > 1 else ""))
    context.ledger.dataset(f"{context.task} pairs", manifest_of(context))


def train_runs(context: StageContext, name: str, data: Material, folder: Path, title: str = "") -> None:
    """All runs of one system, into ``folder`` and below it; what is finished is taken from its files.

    Args:
        context: of the stage.
        name: of the system.
        data: what it learns from.
        folder: of the system's files.
        title: what the progress lines and the ledger call it; its name by default.
    """
    seed, task = context.params.seed, context.task
    trainings = SYSTEMS.get(name).trainings(options_of(context, name), data)
    for training in reseeded(trainings, seed, "systems", task, name):
        label = f"{title or name} {training.part}".rstrip()
        (folder / training.part).mkdir(parents=True, exist_ok=True)
        history = train_in(folder / training.part, training, context.params.compute, label=f"{context.name} {label}")
        prefix = label.replace(" ", "/")
        context.ledger.metrics([replace(row, name=f"{prefix}/{row.name}") for row in history])


def system_key(
    context: StageContext, name: str, *, files: Iterable[Place] = (), code: Iterable[str] = ()
) -> dict[str, object]:
    """What decides a system that learns from the task's real pairs.

    Args:
        context: of the stage.
        name: of the system.
        files: further files that decide it.
        code: further modules that decide it, dotted names.
    """
    fused = fused_hashes(context.folder("fuse")) if SYSTEMS.get(name).corpora else None
    return key_of(
        context.params.seed,
        options_of(context, name),
        fused,
        files=[manifest_of(context), *files],
        code=[module_of(SYSTEMS.get(name).trainings), *code],
    )


def options_of(context: StageContext, name: str) -> Options:
    """What params.yaml tells a system of this task."""
    return parse_options(name, getattr(context.params.systems, context.task)[name])


def manifest_of(context: StageContext) -> Path:
    """The table of the task's real pairs."""
    return context.folder("ingest") / "pairs.parquet"


def material(context: StageContext, *, with_corpora: bool) -> Material:
    """The training pairs of the task, and what stage ``fuse`` made of them.

    Raises:
        UserError: there is no training pair, or no corpus where one is needed.
    """
    task, cache = context.task, PlaneCache()
    pairs = training_pairs(read_pairs(manifest_of(context)), task)
    triples = list(fused_triples(context.folder("fuse"), pairs)) if with_corpora else []
    return Material(
        task,
        context.params.seed,
        _samples([(pair.a_path, pair.b_path) for pair in pairs], cache),
        _samples(triples, cache) if with_corpora else None,
    )


def fused_triples(root: Path, pairs: Sequence[Pair]) -> Iterator[tuple[Path, str, str]]:
    """Fused image and both sources of every (method, pair) that was fused."""
    for paths in corpora(root).values():
        for pair in pairs:
            if pair.pair_id in paths:
                yield paths[pair.pair_id], pair.a_path, pair.b_path


def fused_hashes(root: Path) -> list[list[str]]:
    """What identifies the fused images of a task, without the seconds they took."""
    folders = sorted(path.parent for path in root.glob(f"*/{CORPUS}"))
    return [[folder.name, entry.pair_id, entry.sha256] for folder in folders for entry in read_corpus(folder)]


def reseeded(trainings: Iterator[TrainingRun], seed: int, *names: object) -> Iterator[TrainingRun]:
    """The runs of a system, each built from a seed of its own: one that is finished draws no numbers.

    Args:
        trainings: the runs, built when they are asked for.
        seed: of the project.
        *names: of stage, task and system.
    """
    for number in count():
        torch.manual_seed(seed_of(seed, *names, number))
        training = next(trainings, None)
        if training is None:
            return
        yield training


def _samples(paths: Sequence[tuple[Path | str, ...]], cache: PlaneCache) -> Samples:
    return Samples(lambda index: np.stack([cache(path) for path in paths[index]]), len(paths))


if __name__ == "__main__":
    sys.exit(main("systems", run, sections=("systems", "compute")))
