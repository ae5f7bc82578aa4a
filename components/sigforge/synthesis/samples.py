"""The samples of one shard: photographs are read ahead and pairs encoded behind while the network works.

Every sample has its seat in a batch by its number, and a batch is always as large as ``SynthesisRecipe.batch``; grey
fills the seats of samples that failed, are kept, or belong to another shard. So a sample's bytes depend on nothing
that happens to others.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from sigforge.core.errors import ImageError, UserError
from sigforge.core.images import encode_png, encode_webp, read_image, to_uint8
from sigforge.dataset.tables import Photo
from sigforge.methods.sigfusion.dominance import even_map
from sigforge.methods.sigfusion.plgn import load_plgn
from sigforge.methods.sigfusion.prior import MapKind
from sigforge.shards.layout import key_name
from sigforge.shards.writer import SampleFailure, ShardSample
from sigforge.synthesis.crops import PhotoCrop, crop_of_photo
from sigforge.synthesis.dominance_maps import DrawnMap
from sigforge.synthesis.gates import Gates, refuse_alike, refuse_pair
from sigforge.synthesis.plan import PlannedSample, PlannedShard
from sigforge.synthesis.synthesizer import Synthesizer

ENCODERS = {"png": encode_png, "webp": encode_webp}
GPU_BATCH = 16
AHEAD = 2
"""Batches (of every kind of pair) that are read before the network wants them, and encoded after it."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class SynthesisRecipe:
    """All that the bytes of a shard depend on besides its photographs.

    Args:
        task: whose pairs are made.
        seed: the global seed.
        size: side of the synthetic images, in pixels.
        image_format: how they are stored; both are lossless.
        focus_mix: see :class:`sigforge.synthesis.synthesizer.Synthesizer`.
        model: file of a trained PLGN.
        fingerprint: of that file; recorded with every sample.
        device: where the model runs, ``cpu`` or ``cuda``.
        gates: what is good enough to be written.
        maps, modality: see :class:`sigforge.synthesis.synthesizer.Synthesizer`.
        batch: samples that the network sees at once.
        threads: that read and encode beside the network; no byte depends on them.
    """

    task: str
    seed: int
    size: int
    image_format: Literal["png", "webp"]
    focus_mix: bool
    model: Path
    fingerprint: str
    device: str
    gates: Gates = field(default_factory=Gates)
    maps: MapKind | None = None
    modality: bool = True
    batch: int = 1
    threads: int = 1

    @property
    def machine(self) -> dict[str, object]:
        """What of the machine reaches the last bits of a pixel: the kind of device, and how many pairs it sees at once.

        It belongs to the key of shards, so that a run begun on a CPU is never ended on a GPU.
        """
        return {"device": self.device, "batch": self.batch}


@dataclass(frozen=True)
class _Loaded:
    """A photograph's square, as RGB or grey in [0, 1] and as planes, and its dominance map, if it has one."""

    planned: PlannedSample
    crop: PhotoCrop
    image: np.ndarray
    ycbcr: np.ndarray
    drawn: DrawnMap | None = None


@dataclass(frozen=True)
class _Made:
    """What the network made of it, by channel."""

    loaded: _Loaded
    planes: dict[str, np.ndarray]


def sized_for(device: str, batch: int | None = None) -> tuple[int, int]:
    """``batch`` and ``threads`` of a recipe: on a CPU batches gain nothing, and processes share the cores already.

    Example:
        >>> sized_for("cpu"), sized_for("cpu", 4)
        ((1, 1), (4, 1))
    """
    if device == "cpu":
        return batch or 1, 1
    return batch or GPU_BATCH, os.cpu_count() or 1


def samples(
    shard: PlannedShard, recipe: SynthesisRecipe, kept: Iterator[ShardSample]
) -> Iterator[ShardSample | SampleFailure]:
    """The samples of one shard, in key order: kept ones as they are, the others made.

    Reading and encoding run in threads beside the network. At most a few batches are in memory.

    Args:
        shard: what is planned.
        recipe: how it is made.
        kept: good samples of an earlier run, in key order.

    Yields:
        one sample, or one failure with its reason, for every number of the shard.

    Raises:
        UserError: a photograph has vanished since it was listed.
    """
    maker = synthesizer_of(recipe)
    blocks = _blocks(_with_kept(shard, kept), len(maker.subtasks) * recipe.batch)
    with ThreadPoolExecutor(recipe.threads, thread_name_prefix="synth") as pool:
        read = _threaded(pool, lambda entry: _load(entry, maker, recipe), blocks)
        made = (_modulate(block, maker, recipe) for block in read)
        for block in _threaded(pool, lambda item: _encode(item, maker, recipe), made):
            yield from block


@lru_cache(maxsize=1)
def synthesizer_of(recipe: SynthesisRecipe) -> Synthesizer:
    """One per process and recipe, whose fingerprint makes the cache miss when the model file has changed."""
    plgn = load_plgn(recipe.model).to(recipe.device)
    return Synthesizer(
        plgn,
        recipe.task,
        seed=recipe.seed,
        focus_mix=recipe.focus_mix,
        maps=recipe.maps,
        modality=recipe.modality,
    )


def _with_kept(shard: PlannedShard, kept: Iterator[ShardSample]) -> Iterator[tuple[int, PlannedSample | ShardSample]]:
    following = next(kept, None)
    for planned in shard.planned():
        if following and following.key == key_name(planned.number):
            yield planned.number, following
            following = next(kept, None)
        else:
            yield planned.number, planned


def _blocks(entries: Iterable[tuple[int, Item]], size: int) -> Iterator[list[Item]]:
    """Cut at multiples of ``size``: one batch of every kind of pair."""
    for _, block in groupby(entries, key=lambda entry: entry[0] // size):
        yield [item for _, item in block]


def _threaded(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], blocks: Iterable[list[Item]]
) -> Iterator[list[Result]]:
    """``work`` on every item of every block, begun ``AHEAD`` blocks before its result is asked for."""
    waiting: deque[list[Future[Result]]] = deque()
    for block in blocks:
        waiting.append([pool.submit(work, item) for item in block])
        if len(waiting) > AHEAD:
            yield [future.result() for future in waiting.popleft()]
    for futures in waiting:
        yield [future.result() for future in futures]


def _load(
    entry: PlannedSample | ShardSample, maker: Synthesizer, recipe: SynthesisRecipe
) -> _Loaded | ShardSample | SampleFailure:
    """Read and cut the photograph of a planned sample; one that is kept needs nothing."""
    if isinstance(entry, ShardSample):
        return entry
    if entry.refused:
        return _failure(entry, maker, entry.refused)
    photo = entry.photo
    try:
        image = read_image(photo.path)[0]
    except ImageError as error:
        if not Path(photo.path).exists():
            raise _vanished(photo) from error  # a folder that is not mounted is no property of the photograph
        return _failure(entry, maker, f"{error.reason}: {error}")
    try:
        crop = crop_of_photo(image, photo.sha256, recipe.size, entry.crop, seed=recipe.seed)
    except UserError as error:
        reason = "too_small" if min(image.shape[:2]) < recipe.size else "no_room"
        return _failure(entry, maker, f"{reason}: {error}")
    square = crop.cut(image, recipe.size)
    drawn = maker.draw(square, entry.number)
    return _Loaded(entry, crop, square, maker.planes(square, drawn), drawn)


def _modulate(
    block: Sequence[_Loaded | ShardSample | SampleFailure], maker: Synthesizer, recipe: SynthesisRecipe
) -> list[_Made | ShardSample | SampleFailure]:
    """Run the network on what could be read, one batch for each kind of pair."""
    made: dict[int, dict[str, np.ndarray]] = {}
    for subtask in maker.subtasks:
        seated = {
            item.planned.number // len(maker.subtasks) % recipe.batch: item
            for item in block
            if isinstance(item, _Loaded) and maker.subtask(item.planned.number) == subtask
        }
        if not seated:
            continue
        batch = np.full((recipe.batch, recipe.size, recipe.size, 3), 0.5, np.float32)
        for seat, item in seated.items():
            batch[seat] = item.ycbcr
        planes = maker.modulate(batch, subtask, _maps(seated, maker, recipe))
        for seat, item in seated.items():
            made[item.planned.number] = {name: values[seat] for name, values in planes.items()}
    return [_Made(item, made[item.planned.number]) if isinstance(item, _Loaded) else item for item in block]


def _maps(seated: Mapping[int, _Loaded], maker: Synthesizer, recipe: SynthesisRecipe) -> np.ndarray | None:
    """(batch, K, H, W): the maps of those that have a seat, even ones beside grey."""
    if not maker.conditioned:
        return None
    config = maker.plgn.sigformer.config
    maps = even_map(config, recipe.batch, recipe.size, recipe.size).numpy()
    for seat, item in seated.items():
        if item.drawn is not None:
            maps[seat] = item.drawn.maps
    return maps


def _encode(
    item: _Made | ShardSample | SampleFailure, maker: Synthesizer, recipe: SynthesisRecipe
) -> ShardSample | SampleFailure:
    """Put the pair together, judge it and encode it."""
    if not isinstance(item, _Made):
        return item
    loaded, planned = item.loaded, item.loaded.planned
    pair = maker.assemble(loaded.image, loaded.ycbcr, item.planes, planned.number, loaded.drawn)
    unmodulated = maker.plgn.sm == "none"
    if verdict := refuse_pair(loaded.image, pair.a, pair.b, recipe.gates, may_keep=unmodulated):
        return _failure(planned, maker, verdict)
    if verdict := refuse_alike(pair.a, pair.b, maker.likenesses(pair.subtask), recipe.gates):
        return _failure(planned, maker, verdict)
    encode = ENCODERS[recipe.image_format]
    a, b = encode(to_uint8(pair.a)), encode(to_uint8(pair.b))
    facts = pair.facts | _origin(planned, recipe) | loaded.crop.facts(recipe.size) | {"subtask": pair.subtask}
    return ShardSample(key_name(planned.number), planned.photo.photo_id, pair.subtask, a, b, recipe.image_format, facts)


def _origin(planned: PlannedSample, recipe: SynthesisRecipe) -> dict[str, object]:
    """Where a sample comes from, and whom to name."""
    photo = planned.photo
    return {
        "task": recipe.task,
        "model": recipe.fingerprint,
        "photo_sha256": photo.sha256,
        "licence": photo.licence,
        "licence_url": photo.licence_url,
        "attribution": ", ".join(filter(None, (photo.author, photo.source))),
        "crop": planned.crop,
    }


def _failure(planned: PlannedSample, maker: Synthesizer, verdict: str) -> SampleFailure:
    return SampleFailure(key_name(planned.number), planned.photo.photo_id, maker.subtask(planned.number), verdict)


def _vanished(photo: Photo) -> UserError:
    folder = Path(photo.path).parent
    what = f"{photo.path}: has vanished" if folder.is_dir() else f"{folder}: the folder of photographs has vanished"
    return UserError(f"{what}: bring it back and run again, finished shards are kept")
