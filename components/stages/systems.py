"""Stage ``systems``: the mission's five systems, as far as they are configured, learn from the task's real pairs.

Each has a folder of its own with ``model.safetensors`` and ``history.parquet``, and one below for every network that
only its training needs. A system whose options, inputs or code have changed is trained anew, the others stay.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import torch

from components.corpus import CORPUS, corpora, read_corpus
from components.errors import UserError
from components.manifest import Pair, read_pairs
from components.models.weights import MODEL
from components.seeds import seed_of
from components.stages.base import Context, key_of, main, open_folder
from components.stages.trained import train_in, training_pairs
from components.systems.registry import SHARED_CODE, SYSTEMS, Material, Samples, Training, parse_options
from components.training.images import PlaneCache


def run(context: Context) -> None:
    """Train every configured system of a task that is not trained yet."""
    configured = getattr(context.params.systems, context.task)
    root, problems = context.folder(), []
    root.mkdir(parents=True, exist_ok=True)
    for stale in sorted(root.glob("*/")):
        if stale.name not in configured:
            shutil.rmtree(stale)
    if not configured:
        return
    manifest = context.folder("ingest") / "pairs.parquet"
    data = material(context, manifest, with_corpora=any(SYSTEMS[name].corpora for name in configured))
    for name in configured:
        try:
            train_system(context, name, data, manifest)
        except UserError as error:  # the other systems go on
            problems.append(f"system '{name}': {error}")
    if problems:
        raise UserError(problems[0] + (f" (and {len(problems) - 1} more systems)" if len(problems) > 1 else ""))
    context.ledger.dataset(f"{context.task} pairs", manifest)


def train_system(context: Context, name: str, data: Material, manifest: Path) -> None:
    """All runs of one system; what is finished is taken from its files."""
    params, task, system = context.params, context.task, SYSTEMS[name]
    options = parse_options(name, getattr(params.systems, task)[name])
    fused = fused_hashes(context.folder("fuse")) if system.corpora else None
    key = key_of(params.seed, options, fused, files=[manifest], code=(*SHARED_CODE, *system.code))
    folder = open_folder(context.folder() / name, key)
    trainings = system.trainings(options, data)
    for training in reseeded(trainings, params.seed, "systems", task, name):
        label = f"{name} {training.part}".rstrip()
        (folder / training.part).mkdir(exist_ok=True)
        history = train_in(
            folder / training.part,
            context,
            training.model,
            training.dataset,
            training.losses,
            training.config,
            kind=training.kind,
            architecture=training.architecture,
            kept=training.kept,
            label=f"{context.name} {label}",
        )
        prefix = label.replace(" ", "/")
        context.ledger.metrics([replace(row, name=f"{prefix}/{row.name}") for row in history])
    context.ledger.file(folder / MODEL, f"models/{name}")


def material(context: Context, manifest: Path, *, with_corpora: bool) -> Material:
    """The training pairs of the task, and what stage ``fuse`` made of them.

    Raises:
        UserError: there is no training pair, or no corpus where one is needed.
    """
    task, cache = context.task, PlaneCache()
    pairs = training_pairs(read_pairs(manifest), task)
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


def reseeded(trainings: Iterator[Training], seed: int, *names: object) -> Iterator[Training]:
    """The runs of a system, each built from a seed of its own: one that is finished draws no numbers."""
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
