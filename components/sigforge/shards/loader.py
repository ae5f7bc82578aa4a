"""Batches of pairs from shards, with an epoch that can be left and taken up again at the next batch."""

import os
from collections.abc import Iterator
from itertools import islice
from multiprocessing.util import Finalize
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from sigforge.core.errors import UserError
from sigforge.core.files import hash_of
from sigforge.shards.stream import ShardDataset, StreamedPair


class PairBatch(NamedTuple):
    """Images (B, C, H, W), and the facts of each pair."""

    a: Tensor
    b: Tensor
    facts: list[dict[str, object]]


class ShardLoader:
    """Batches of a :class:`ShardDataset`: an iteration goes from the present position to the end of the epoch.

    The iteration after that is the next epoch. Workers take turns, a worker that has run out as well: so the number of
    turns taken tells where each of them stands, and no timing can change the order.

    Args:
        dataset: what is read; its images are all of one size.
        batch: pairs per batch; the last one of every worker may be smaller.
        workers: processes that read and decode; 0: this one does. Batches come through ``/dev/shm``.
        drop_last: leave out batches that are not full.
        pin_memory: for copies to a GPU.

    Raises:
        UserError: while iterating, a shard that is cut or altered.

    Example:
        >>> loader = ShardLoader(ShardDataset("data/synth/vif"), batch=16, workers=2)  # doctest: +SKIP
        >>> position = loader.state_dict()  # to be saved with the model  # doctest: +SKIP
        >>> loader.load_state_dict(position)  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: ShardDataset,
        *,
        batch: int,
        workers: int = 0,
        drop_last: bool = False,
        pin_memory: bool = False,
    ) -> None:
        self.dataset, self.batch, self.workers, self.drop_last = dataset, batch, workers, drop_last
        self.pin_memory = pin_memory
        self._turns = 0

    def __len__(self) -> int:
        """Batches of this rank in the whole of this epoch."""
        return sum(self._batches())

    def __iter__(self) -> Iterator[PairBatch]:
        turns = _Turns(self.dataset, self._turns, max(self._batches()), batch=self.batch, drop_last=self.drop_last)
        loader = DataLoader(
            turns,
            batch_size=None,
            num_workers=self.workers,
            worker_init_fn=_end_alone,
            pin_memory=self.pin_memory,
        )
        for result in loader:
            if isinstance(result, UserError):
                raise result
            self._turns += 1
            if result is not None:
                yield result
        self._turns = 0
        self.dataset.epoch += 1

    def state_dict(self) -> dict[str, object]:
        """The position after the batches given out so far; the same for every rank."""
        return {"epoch": self.dataset.epoch, "turns": self._turns, "plan": self._plan()}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go to a position.

        Raises:
            UserError: it was taken with other shards or options, where it means another place.
        """
        if state["plan"] != self._plan():
            options = "seed, buffer, world, batch, workers, drop_last"
            raise UserError(
                f"the saved position belongs to other shards or another {options}: give those, or start anew"
            )
        self.dataset.epoch, self._turns = int(str(state["epoch"])), int(str(state["turns"]))

    def _batches(self) -> list[int]:
        """How many each worker has for this epoch."""
        parts = max(self.workers, 1)
        counts = [self.dataset.count(part, parts) for part in range(parts)]
        return [count // self.batch if self.drop_last else -(-count // self.batch) for count in counts]

    def _plan(self) -> str:
        data = self.dataset
        shards = [(shard.path.tar.name, shard.samples, shard.parquet_sha256) for shard in data.shards]
        return hash_of([shards, data.seed, data.buffer, data.world, self.batch, self.workers, self.drop_last])


def _end_alone(worker: int) -> None:
    """Let a worker end, after its queues, without the exit hooks it got from its parent by the fork.

    Those of Prefect fail there, the worker's exit code is 1, and the parent takes a finished worker for a dead one.
    """
    Finalize(None, os._exit, args=(0,), exitpriority=-1000)


class _Turns(IterableDataset[PairBatch | UserError | None]):
    """Batch ``k`` of the epoch from part ``k % workers`` of the data, from ``first`` on; None where it has run out.

    A DataLoader asks its workers in rotation, which holds as long as none ends before the others: hence the Nones. It
    starts with worker 0, whose part is therefore that of batch ``first``. Errors travel as results, or they would
    arrive as a traceback in a string.
    """

    def __init__(self, dataset: ShardDataset, first: int, rounds: int, *, batch: int, drop_last: bool) -> None:
        self.dataset, self.first, self.rounds, self.batch, self.drop_last = dataset, first, rounds, batch, drop_last

    def __iter__(self) -> Iterator[PairBatch | UserError | None]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        start = self.first + worker
        pairs = self.dataset.part(start % workers, workers, skip=start // workers * self.batch)
        for _ in range(start, self.rounds * workers, workers):
            try:
                yield self._batch(list(islice(pairs, self.batch)))
            except UserError as error:
                yield error
                return

    def _batch(self, pairs: list[StreamedPair]) -> PairBatch | None:
        if not pairs or (self.drop_last and len(pairs) < self.batch):
            return None
        a, b, facts = zip(*pairs, strict=True)
        return PairBatch(torch.stack(a), torch.stack(b), list(facts))
