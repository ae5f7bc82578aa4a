"""Stage ``synth``: every photograph becomes a synthetic pair of the task, written into tar shards."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from components.config import Synth
from components.device import pick_device
from components.errors import UserError
from components.images import encode_png, encode_webp, read_image, to_uint8
from components.manifest import Photo, read_photos
from components.models.plgn import load_plgn
from components.models.weights import model_fingerprint
from components.progress import progress
from components.runner import run_units
from components.shards.layout import ShardPath, key_name
from components.shards.writer import Failure, Sample, finished, write_shard
from components.stages.base import Context, key_of, main, open_folder
from components.stages.trained import MODEL
from components.synthesis.synthesizer import Synthesizer, fit_square

SPLIT = "train"
ENCODERS = {"png": encode_png, "webp": encode_webp}


@dataclass(frozen=True)
class Shard:
    """One planned shard: its number and its photographs, in order, with the number of the first."""

    index: int
    first: int
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class Recipe:
    """All that the bytes of a shard depend on besides its photographs."""

    task: str
    seed: int
    config: Synth
    model: Path
    fingerprint: str
    device: str


def run(context: Context) -> None:
    """Write the shards of a task that are not there yet."""
    params = context.params
    manifest = context.folder("ingest", "photos") / "photos.parquet"
    photos = read_photos(manifest)[: params.synth.limit]
    model = context.folder("plgn") / MODEL
    device = pick_device(params.compute.device).torch.type
    code = ("models", "signal", "synthesis", "shards", "colour", "images")
    key = key_of(params.seed, params.synth, [photo.sha256 for photo in photos], files=[model], code=code)
    folder = open_folder(context.folder(), key)
    recipe = Recipe(context.task, params.seed, params.synth, model, model_fingerprint(model), device)
    shards = plan(photos, params.synth.shard_size)
    pending = [shard for shard in shards if finished(_path(folder, context.task, shard), key) is None]
    work = partial(make_shard, recipe=recipe, folder=folder, key=key)
    # Models on a GPU want one process; on a CPU every worker brings its own copy.
    workers = 1 if device == "cuda" else params.compute.workers
    with progress(context.name, len(photos)) as bar:
        bar.advance(sum(len(shard.photos) for shard in shards if shard not in pending))
        for report in run_units(work, pending, workers=workers):
            bar.advance(report["samples"] + report["failures"], note=report["shard"])
    _account(context, folder, shards, key)
    context.ledger.dataset("photographs", manifest)


def plan(photos: Sequence[Photo], shard_size: int) -> list[Shard]:
    """Photographs in manifest order, ``shard_size`` to a shard; known before anything is written."""
    starts = range(0, len(photos), shard_size)
    return [
        Shard(index, start, tuple(photos[start : start + shard_size])) for index, start in enumerate(starts)
    ]


def make_shard(shard: Shard, *, recipe: Recipe, folder: Path, key: dict[str, object]) -> dict[str, object]:
    """Synthesise and write one shard; any worker can, with the same bytes."""
    return write_shard(_path(folder, recipe.task, shard), _samples(shard, recipe), key)


def _samples(shard: Shard, recipe: Recipe) -> Iterator[Sample | Failure]:
    synthesizer = _synthesizer(recipe.model, recipe.fingerprint, recipe.task, recipe.seed, recipe.config, recipe.device)
    for number, photo in enumerate(shard.photos, start=shard.first):
        subtask = synthesizer.subtasks[number % len(synthesizer.subtasks)]
        try:
            image = fit_square(read_image(photo.path)[0], recipe.config.size)
        except UserError as error:
            yield Failure(key_name(number), photo.photo_id, subtask, str(error))
            continue
        yield _sample(synthesizer, image, number, photo, recipe)


def _sample(synthesizer: Synthesizer, image: np.ndarray, number: int, photo: Photo, recipe: Recipe) -> Sample:
    pair = synthesizer.pair(image, number)
    encode = ENCODERS[recipe.config.image_format]
    facts = pair.facts | {
        "task": recipe.task,
        "subtask": pair.subtask,
        "model": recipe.fingerprint,
        "photo_sha256": photo.sha256,
        "licence": photo.licence,
        "attribution": f"{photo.author}, {photo.source}",
    }
    a, b = encode(to_uint8(pair.a)), encode(to_uint8(pair.b))
    return Sample(key_name(number), photo.photo_id, pair.subtask, a, b, recipe.config.image_format, facts)


@lru_cache(maxsize=1)
def _synthesizer(model: Path, fingerprint: str, task: str, seed: int, config: Synth, device: str) -> Synthesizer:
    """One per process and model; the fingerprint only makes the cache miss when the file has changed."""
    return Synthesizer(load_plgn(model).to(device), task, seed=seed, focus_mix=config.focus_mix)


def _path(folder: Path, task: str, shard: Shard) -> ShardPath:
    return ShardPath.of(folder, task, SPLIT, shard.index)


def _account(context: Context, folder: Path, shards: Sequence[Shard], key: dict[str, object]) -> None:
    reports = [finished(_path(folder, context.task, shard), key) for shard in shards]
    if not sum(report["samples"] for report in reports):
        raise UserError(f"no photograph gave a pair; see 'reason' in {folder}/*.parquet, or lower 'synth.size'")
    for name in ("samples", "failures", "bytes", "seconds"):
        context.ledger.value(name, sum(report[name] for report in reports))
    for report, shard in zip(reports, shards, strict=True):
        context.ledger.dataset(str(report["shard"]), _path(folder, context.task, shard).done)


if __name__ == "__main__":
    sys.exit(main("synth", run, sections=("synth", "compute")))
