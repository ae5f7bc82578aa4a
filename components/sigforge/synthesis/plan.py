"""Which photograph, and which square of it, becomes which sample of which shard; decided before anything is written.

Samples are numbered pass by pass: the first crop of every photograph in manifest order, then the second of every one.
More crops go behind those that are there, and any worker can make or redo any shard.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from sigforge.core.storage import Place
from sigforge.dataset.tables import Photo, photo_table, photos_of
from sigforge.shards.layout import ShardPath

SPLIT = "train"


@dataclass(frozen=True)
class PlannedSample:
    """One sample to be made: its number, its photograph and which crop of it, and why it may not be made, if so."""

    number: int
    photo: Photo
    crop: int = 0
    refused: str | None = None


@dataclass(frozen=True)
class PlannedShard:
    """One planned shard: its number and its photographs, in order, with the number of the first sample.

    Attributes:
        crops: which crop of each photograph; the first of all if empty.
        refused: by sample number, why photographs may not be used; they keep their number and are recorded as failures.
    """

    index: int
    first: int
    photos: tuple[Photo, ...]
    refused: Mapping[int, str] = field(default_factory=dict)
    crops: tuple[int, ...] = ()

    def planned(self) -> Iterator[PlannedSample]:
        """Its samples, in order."""
        crops = self.crops or (0,) * len(self.photos)
        for number, (photo, crop) in enumerate(zip(self.photos, crops, strict=True), start=self.first):
            yield PlannedSample(number, photo, crop, self.refused.get(number))


class ShardPlan(Sequence[PlannedShard]):
    """All shards, each put together when it is asked for, so that a plan of millions costs no more than its manifest.

    Attributes:
        samples: numbers given out, refused ones included.
        allowed: those among them that are not refused.
    """

    def __init__(
        self, photos: pa.Table, shard_size: int, refused: Mapping[int, str], *, crops: int = 1, pairs: int | None = None
    ) -> None:
        self.photos, self.shard_size, self.refused = photos, shard_size, refused
        self.samples, self.allowed = _counts(photos.num_rows, refused, crops, pairs)

    def __len__(self) -> int:
        return -(-self.samples // self.shard_size)

    def __getitem__(self, index: Any) -> Any:
        """One shard; slices are not served."""
        if not 0 <= index < len(self):
            raise IndexError(f"shard {index} of {len(self)}")
        return self.part(index, self._numbers(index))

    def part(self, index: int, numbers: range) -> PlannedShard:
        """Any run of samples as a shard of its own."""
        total, photos, crops = self.photos.num_rows, list[Photo](), list[int]()
        refused: dict[int, str] = {}
        for crop in range(numbers.start // total, -(-numbers.stop // total)):
            start = max(numbers.start, crop * total)
            chosen = photos_of(self.photos.slice(start % total, min(numbers.stop, (crop + 1) * total) - start))
            places = enumerate(range(start % total, start % total + len(chosen)), start)
            refused |= {number: self.refused[place] for number, place in places if place in self.refused}
            photos, crops = photos + chosen, crops + [crop] * len(chosen)
        return PlannedShard(index, numbers.start, tuple(photos), refused, tuple(crops))

    def sizes(self) -> Iterator[int]:
        """How many numbers each shard has, without putting any together."""
        return (len(self._numbers(index)) for index in range(len(self)))

    def _numbers(self, index: int) -> range:
        start = index * self.shard_size
        return range(start, min(start + self.shard_size, self.samples))


def plan(
    photos: Sequence[Photo] | pa.Table,
    shard_size: int,
    refused: Mapping[int, str] | None = None,
    *,
    crops: int = 1,
    pairs: int | None = None,
) -> ShardPlan:
    """Photographs in manifest order, ``shard_size`` to a shard, as often as there are crops.

    Args:
        photos: all of them, those that may not be used included.
        shard_size: samples per shard.
        refused: position and verdict, see :func:`sigforge.synthesis.gates.refused_photos`.
        crops: squares taken from each photograph.
        pairs: the plan ends with so many samples that are not refused, if there are as many.

    Example:
        >>> shards = plan([], 16)
        >>> len(shards), shards.samples
        (0, 0)
    """
    return ShardPlan(photo_table(photos), shard_size, refused or {}, crops=crops, pairs=pairs)


def shard_path(shard: PlannedShard | int, *, folder: Place, task: str) -> ShardPath:
    """Where a planned shard of a task lies.

    Args:
        shard: the shard, or its index alone.
        folder: of all shards of the run.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.

    Example:
        >>> from pathlib import Path
        >>> str(shard_path(3, folder=Path("shards"), task="vif").table)
        'shards/vif-train-000003.parquet'
    """
    return ShardPath.of(folder, task, SPLIT, shard.index if isinstance(shard, PlannedShard) else shard)


def _counts(photos: int, refused: Mapping[int, str], crops: int, pairs: int | None) -> tuple[int, int]:
    """Numbers given out, and those that are not refused."""
    each = photos - len(refused)
    if pairs is None or pairs >= each * crops:
        return photos * crops, each * crops
    passes, rest = divmod(pairs, each)
    if not rest:
        return passes * photos, pairs
    allowed = np.setdiff1d(np.arange(photos), np.fromiter(refused, int, len(refused)))
    return passes * photos + int(allowed[rest - 1]) + 1, pairs
