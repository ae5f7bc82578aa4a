"""Photographs into shards of synthetic pairs: which photograph goes where, and the samples of one shard.

The plan is made before anything is written, so any worker can make or redo any shard, with the same bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from components.errors import UserError
from components.images import encode_png, encode_webp, read_image, to_uint8
from components.manifest import Photo
from components.models.plgn import load_plgn
from components.shards.layout import ShardPath, key_name
from components.shards.writer import Failure, Sample, write_shard
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
    """All that the bytes of a shard depend on besides its photographs.

    Args:
        task: whose pairs are made.
        seed: the global seed.
        size: side of the synthetic images, in pixels.
        image_format: how they are stored; both are lossless.
        focus_mix: see :class:`components.synthesis.synthesizer.Synthesizer`.
        model: file of a trained PLGN.
        fingerprint: of that file; recorded with every sample.
        device: where the model runs, ``cpu`` or ``cuda``.
    """

    task: str
    seed: int
    size: int
    image_format: Literal["png", "webp"]
    focus_mix: bool
    model: Path
    fingerprint: str
    device: str


def plan(photos: Sequence[Photo], shard_size: int) -> list[Shard]:
    """Photographs in manifest order, ``shard_size`` to a shard; known before anything is written."""
    starts = range(0, len(photos), shard_size)
    return [Shard(index, start, tuple(photos[start : start + shard_size])) for index, start in enumerate(starts)]


def shard_path(shard: Shard, *, folder: Path, task: str) -> ShardPath:
    """Where a planned shard of a task lies."""
    return ShardPath.of(folder, task, SPLIT, shard.index)


def make_shard(shard: Shard, *, recipe: Recipe, folder: Path, key: dict[str, object]) -> dict[str, object]:
    """Synthesise and write one shard; any worker can, with the same bytes. Returns its done-marker."""
    return write_shard(shard_path(shard, folder=folder, task=recipe.task), _samples(shard, recipe), key)


def _samples(shard: Shard, recipe: Recipe) -> Iterator[Sample | Failure]:
    synthesizer = _synthesizer(recipe)
    for number, photo in enumerate(shard.photos, start=shard.first):
        subtask = synthesizer.subtasks[number % len(synthesizer.subtasks)]
        try:
            image = fit_square(read_image(photo.path)[0], recipe.size)
        except UserError as error:
            if not Path(photo.path).exists():
                raise  # a folder that is not mounted is no property of the photograph
            yield Failure(key_name(number), photo.photo_id, subtask, str(error))
            continue
        yield _sample(synthesizer, image, number, photo, recipe)


def _sample(synthesizer: Synthesizer, image: np.ndarray, number: int, photo: Photo, recipe: Recipe) -> Sample:
    pair = synthesizer.pair(image, number)
    encode = ENCODERS[recipe.image_format]
    facts = pair.facts | {
        "task": recipe.task,
        "subtask": pair.subtask,
        "model": recipe.fingerprint,
        "photo_sha256": photo.sha256,
        "licence": photo.licence,
        "attribution": f"{photo.author}, {photo.source}",
    }
    a, b = encode(to_uint8(pair.a)), encode(to_uint8(pair.b))
    return Sample(key_name(number), photo.photo_id, pair.subtask, a, b, recipe.image_format, facts)


@lru_cache(maxsize=1)
def _synthesizer(recipe: Recipe) -> Synthesizer:
    """One per process and recipe, whose fingerprint makes the cache miss when the model file has changed."""
    plgn = load_plgn(recipe.model).to(recipe.device)
    return Synthesizer(plgn, recipe.task, seed=recipe.seed, focus_mix=recipe.focus_mix)
