"""Photographs into shards of synthetic pairs: which photograph goes where, and the samples of one shard.

The plan is made before anything is written, so any worker can make or redo any shard, with the same bytes. The model
sees one sample at a time: no sample's bytes depend on its neighbours.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from components.errors import ImageError, UserError
from components.images import encode_png, encode_webp, read_image, to_uint8
from components.manifest import Photo
from components.models.plgn import load_plgn
from components.runner import run_units
from components.shards.layout import ShardPath, key_name
from components.shards.reader import read_samples
from components.shards.writer import Failure, Sample, finished, write_shard
from components.synthesis.gates import Gates, refuse_pair
from components.synthesis.synthesizer import Synthesizer, fit_square

SPLIT = "train"
ENCODERS = {"png": encode_png, "webp": encode_webp}


@dataclass(frozen=True)
class Shard:
    """One planned shard: its number and its photographs, in order, with the number of the first.

    ``refused`` holds, by number, why photographs may not be used; they keep their number and are recorded as failures.
    """

    index: int
    first: int
    photos: tuple[Photo, ...]
    refused: Mapping[int, str] = field(default_factory=dict)


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
        gates: what is good enough to be written.
    """

    task: str
    seed: int
    size: int
    image_format: Literal["png", "webp"]
    focus_mix: bool
    model: Path
    fingerprint: str
    device: str
    gates: Gates = Gates()


def plan(photos: Sequence[Photo], shard_size: int, refused: Mapping[int, str] | None = None) -> list[Shard]:
    """Photographs in manifest order, ``shard_size`` to a shard; known before anything is written.

    Args:
        photos: all of them, those that may not be used included.
        shard_size: photographs per shard.
        refused: position and verdict, see :func:`components.synthesis.gates.refused_photos`.
    """
    shards = []
    for index, start in enumerate(range(0, len(photos), shard_size)):
        chosen = tuple(photos[start : start + shard_size])
        numbers = range(start, start + len(chosen))
        shards.append(Shard(index, start, chosen, {n: refused[n] for n in numbers if n in (refused or {})}))
    return shards


def shard_path(shard: Shard, *, folder: Path, task: str) -> ShardPath:
    """Where a planned shard of a task lies."""
    return ShardPath.of(folder, task, SPLIT, shard.index)


def make_shards(
    shards: Sequence[Shard],
    *,
    recipe: Recipe,
    folder: Path,
    key: dict[str, object],
    workers: int = 1,
    retry_failed: bool = False,
    cluster: str | None = None,
    on_shard: Callable[[dict[str, object]], None] = lambda report: None,
) -> list[dict[str, object]]:
    """Make the shards that are not there yet, over processes or a cluster; the bytes are the same.

    Args:
        shards: the whole plan.
        recipe: what the bytes depend on.
        folder: where shards go; what a killed run left half-written there is removed.
        key: recorded in every done-marker; shards with another key are made again.
        workers: processes, on a CPU; a GPU wants one.
        retry_failed: also make the failed samples of finished shards again; good ones are copied, checked.
        cluster: see :func:`components.runner.run_units`.
        on_shard: called with the done-marker of every shard, those found finished first.

    Returns:
        The done-markers, in the order of the plan.
    """
    for leftover in folder.glob(".*.tmp*"):
        leftover.unlink()
    done = {shard.index: finished(shard_path(shard, folder=folder, task=recipe.task), key) for shard in shards}
    pending = [shard for shard in shards if _is_pending(done[shard.index], retry_failed)]
    again = {shard.index for shard in pending}
    for index, report in done.items():
        if index not in again:
            on_shard(report)
    work = partial(make_shard, recipe=recipe, folder=folder, key=key)
    for report in run_units(work, pending, workers=1 if recipe.device == "cuda" else workers, cluster=cluster):
        on_shard(report)
    return [finished(shard_path(shard, folder=folder, task=recipe.task), key) for shard in shards]


def make_shard(shard: Shard, *, recipe: Recipe, folder: Path, key: dict[str, object]) -> dict[str, object]:
    """Synthesise and write one shard; any worker can, with the same bytes. Returns its done-marker.

    Where it lies finished already, with ``key``, its good samples are kept and the failed ones made again.
    """
    path = shard_path(shard, folder=folder, task=recipe.task)
    kept = read_samples(path) if finished(path, key) else iter(())
    return write_shard(path, _samples(shard, recipe, kept), key)


def _is_pending(report: dict[str, object] | None, retry_failed: bool) -> bool:
    return report is None or (retry_failed and report["failures"] > 0)


def _samples(shard: Shard, recipe: Recipe, kept: Iterator[Sample]) -> Iterator[Sample | Failure]:
    """In key order: the next one kept, if its turn has come; else one that is made."""
    following = next(kept, None)
    for number, photo in enumerate(shard.photos, start=shard.first):
        if following and following.key == key_name(number):
            yield following
            following = next(kept, None)
        else:
            yield _made(number, photo, shard.refused.get(number), recipe)


def _made(number: int, photo: Photo, refused: str | None, recipe: Recipe) -> Sample | Failure:
    synthesizer = _synthesizer(recipe)
    subtask = synthesizer.subtasks[number % len(synthesizer.subtasks)]
    try:
        if refused:
            raise _RefusedError(refused)
        return _sample(synthesizer, _photograph(photo, recipe.size), number, photo, recipe)
    except ImageError as error:
        if not Path(photo.path).exists():
            raise _vanished(photo) from error  # a folder that is not mounted is no property of the photograph
        verdict = f"{error.reason}: {error}"
    except _RefusedError as error:
        verdict = str(error)
    return Failure(key_name(number), photo.photo_id, subtask, verdict)


class _RefusedError(Exception):
    """A gate is closed to this sample; the message is the verdict."""


def _photograph(photo: Photo, size: int) -> np.ndarray:
    image = read_image(photo.path)[0]
    try:
        return fit_square(image, size)
    except UserError as error:
        raise _RefusedError(f"too_small: {error}") from error


def _vanished(photo: Photo) -> UserError:
    folder = Path(photo.path).parent
    what = f"{photo.path}: has vanished" if folder.is_dir() else f"{folder}: the folder of photographs has vanished"
    return UserError(f"{what}: bring it back and run again, finished shards are kept")


def _sample(synthesizer: Synthesizer, image: np.ndarray, number: int, photo: Photo, recipe: Recipe) -> Sample:
    pair = synthesizer.pair(image, number)
    unmodulated = synthesizer.plgn.sm == "none"
    if verdict := refuse_pair(image, pair.a, pair.b, recipe.gates, may_keep=unmodulated):
        raise _RefusedError(verdict)
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
