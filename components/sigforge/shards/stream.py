"""Streaming shards into PyTorch: every tar is read once, front to back, and every byte used is checked first.

The order is a function of (seed, epoch, world, workers) and of nothing else, so a loop that was stopped goes on with
the very batch it would have had. Only images and JSON are decoded; what else a tar may hold is never looked at.
"""

import json
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.images import decode_bytes, to_uint8
from sigforge.core.seeds import rng_of
from sigforge.core.storage import Place, place
from sigforge.shards.layout import AGAIN, SampleRow, ShardPath, ShardReport, shards_in
from sigforge.shards.pairs import member, opened, read_rows

CHANNELS = {"rgb": 3, "luma": 1}


class StreamedPair(NamedTuple):
    """Both images, (C, H, W), and the facts of ``key.json`` with its key."""

    a: Tensor
    b: Tensor
    facts: dict[str, object]


class FinishedShard(NamedTuple):
    """A shard, and what its done-marker says of it."""

    path: ShardPath
    samples: int
    parquet_sha256: str


class EncodedPair(NamedTuple):
    """A sample as it lies in its tar, checked."""

    name: str
    key: str
    a: bytes
    b: bytes
    facts: bytes


class ShardDataset(IterableDataset[StreamedPair]):
    """The pairs of the finished shards of a folder, each once per epoch over all ranks and workers.

    Every rank, and within it every worker, has shards of its own. Ranks differ by a shard at most in what they get:
    write many shards for many ranks. To go on within an epoch, see :class:`sigforge.shards.loader.ShardLoader`.

    Args:
        folder: local, or ``s3://bucket/prefix``.
        seed: of the order.
        buffer: encoded pairs that a worker holds to draw the next one from; the order of shards is shuffled too. With 0
            nothing is shuffled.
        rank: number of this process among those that train.
        world: how many there are.
        colour: ``rgb`` gives 3 channels, whatever the file has, ``luma`` gives one.
        dtype: ``float32`` in [0, 1], or ``uint8``.

    Raises:
        UserError: fewer finished shards with pairs than ranks; while reading, a shard that is cut or altered.
    """

    def __init__(
        self,
        folder: str | Place,
        *,
        seed: int = 0,
        buffer: int = 256,
        rank: int = 0,
        world: int = 1,
        colour: Literal["rgb", "luma"] = "rgb",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        folder = place(folder) if isinstance(folder, str) else folder
        self.shards = [shard for shard in map(_finished, shards_in(folder)) if shard.samples]
        if len(self.shards) < world:
            raise UserError(f"{folder}: {len(self.shards)} finished shards with pairs are too few for {world} ranks")
        self.seed, self.buffer, self.rank, self.world = seed, buffer, rank, world
        self.colour, self.dtype, self.epoch = colour, dtype, 0

    def __len__(self) -> int:
        """Pairs of this rank in this epoch."""
        return self.count(0, 1)

    def __iter__(self) -> Iterator[StreamedPair]:
        worker = get_worker_info()
        return self.part(worker.id, worker.num_workers) if worker else self.part(0, 1)

    def count(self, worker: int, workers: int) -> int:
        """Pairs that one of this rank's workers reads in this epoch."""
        return sum(shard.samples for shard in self._shards_of(worker, workers))

    def part(self, worker: int, workers: int, *, skip: int = 0) -> Iterator[StreamedPair]:
        """The pairs of one of this rank's workers.

        Args:
            worker: number of the worker, counted from 0.
            workers: how many this rank has; the order depends on it.
            skip: leave out so many pairs at the start of the order. They are not decoded.

        Yields:
            pairs in the order that seed, epoch, rank, world and workers fix.

        Raises:
            UserError: a shard that is cut or altered.
        """
        rng = rng_of(self.seed, "pairs", self.epoch, self.rank, self.world, worker, workers)
        order = buffered_order(self.count(worker, workers), self.buffer, rng)
        stream = _stream(self._shards_of(worker, workers), skipped=set(islice(order, skip)))
        held: dict[int, EncodedPair] = {}
        for number in order:
            while number not in held:
                position, sample = next(stream)
                held[position] = sample
            yield self._decoded(held.pop(number))

    def _shards_of(self, worker: int, workers: int) -> list[FinishedShard]:
        order = np.arange(len(self.shards))
        if self.buffer:
            rng_of(self.seed, "shards", self.epoch).shuffle(order)
        return [self.shards[n] for n in order[self.rank :: self.world][worker::workers]]

    def _decoded(self, sample: EncodedPair) -> StreamedPair:
        a, b = (self._tensor(data, f"{sample.name}.{part}") for part, data in (("a", sample.a), ("b", sample.b)))
        return StreamedPair(a, b, {"key": sample.key, **json.loads(sample.facts)})

    def _tensor(self, data: bytes, name: str) -> Tensor:
        pixels = decode_bytes(data, name)[0]
        pixels = luma(pixels) if self.colour == "luma" else pixels
        pixels = to_uint8(pixels) if self.dtype == torch.uint8 else pixels
        planes = torch.from_numpy(pixels).reshape(*pixels.shape[:2], -1).permute(2, 0, 1)
        return planes.expand(CHANNELS[self.colour], -1, -1).contiguous()


def buffered_order(count: int, size: int, rng: np.random.Generator) -> Iterator[int]:
    """The numbers 0..count-1 in the order in which a shuffle buffer gives them out.

    Args:
        count: how many numbers go in, in increasing order.
        size: how many the buffer holds; with 0 nothing is shuffled. A number n comes
            out at place n - size at the earliest.
        rng: what draws from the buffer.

    Yields:
        every number once.

    Example:
        >>> list(buffered_order(4, 0, np.random.default_rng(0)))
        [0, 1, 2, 3]
        >>> list(buffered_order(8, 3, np.random.default_rng(0)))
        [3, 2, 4, 1, 6, 0, 5, 7]
    """
    held: list[int] = []

    def drawn() -> int:
        chosen = int(rng.integers(len(held)))
        held[chosen], held[-1] = held[-1], held[chosen]
        return held.pop()

    for number in range(count):
        held.append(number)
        if len(held) > size:
            yield drawn() if size else held.pop()
    while held:
        yield drawn()


def _finished(path: ShardPath) -> FinishedShard:
    try:
        report = ShardReport.from_json(path.done.read_bytes())
        return FinishedShard(path, int(report.samples), str(report.parquet_sha256))
    except (FileNotFoundError, TypeError, ValueError) as error:
        raise UserError(f"{path.done}: damaged done-marker: {AGAIN}") from error


def _stream(shards: list[FinishedShard], *, skipped: set[int]) -> Iterator[tuple[int, EncodedPair]]:
    """Samples with their position in the stream of all; a shard of which nothing is wanted is not opened."""
    first = 0
    for shard in shards:
        wanted = [n for n in range(shard.samples) if first + n not in skipped]
        if wanted:
            rows = _checked_rows(shard)
            with opened(shard.path.tar) as file:
                yield from ((first + n, _encoded(file, shard.path.tar, rows[n])) for n in wanted)
        first += shard.samples


def _checked_rows(shard: FinishedShard) -> list[SampleRow]:
    rows = [row for row in read_rows(shard.path, sha256=shard.parquet_sha256) if row["status"] == "ok"]
    if len(rows) != shard.samples:
        raise UserError(f"{shard.path.done}: promises {shard.samples} samples of {len(rows)}: {AGAIN}")
    return rows


def _encoded(file: BinaryIO, tar: Place, row: SampleRow) -> EncodedPair:
    return EncodedPair(
        f"{tar}:{row['key']}", row["key"], *(member(file, tar, row, part) for part in ("a", "b", "json"))
    )
