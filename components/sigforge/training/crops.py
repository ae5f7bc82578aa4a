"""Random crops for training: the batch of step k is a function of (seed, k)."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sigforge.core.seeds import SeedNames, rng_of
from sigforge.methods.tiling import pad_to

Sample = np.ndarray
"""Registered planes (n, H, W), uint8 or float32 in [0, 1]."""


class CropBatches(Dataset):
    """Batches of registered random crops with flips and turns; index = step.

    Args:
        load: index of a sample to its planes (n, H, W), uint8 or float32 in [0, 1].
        count: number of samples.
        batch, crop: crops per step and their side.
        turns: also rotate by quarter turns; off for scenes with an up and a down (``vif``), which are flipped only.
        names: what seeds the crops.
    """

    def __init__(
        self, load: Callable[[int], Sample], count: int, *, batch: int, crop: int, turns: bool, names: SeedNames
    ) -> None:
        self.load, self.count, self.batch, self.crop, self.turns, self.names = load, count, batch, crop, turns, names

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Planes (n, B, 1, crop, crop) float32 in [0, 1] and the sample indices (B,)."""
        rng = rng_of(*self.names, step)
        chosen = [int(rng.integers(self.count)) for _ in range(self.batch)]
        crops = torch.stack([self._crop(self.load(index), rng) for index in chosen], dim=1)
        return crops[:, :, None], torch.tensor(chosen)

    def _crop(self, planes: Sample, rng: np.random.Generator) -> Tensor:
        height, width = planes.shape[-2:]
        top = int(rng.integers(max(1, height - self.crop + 1)))
        left = int(rng.integers(max(1, width - self.crop + 1)))
        flip, turn = bool(rng.integers(2)), int(rng.integers(4)) if self.turns else 0
        window = planes[:, top : top + self.crop, left : left + self.crop]
        window = np.rot90(window[:, :, ::-1] if flip else window, turn, axes=(1, 2))
        crop = torch.from_numpy(np.ascontiguousarray(window))
        crop = crop.float() / 255 if crop.dtype == torch.uint8 else crop
        return pad_to(crop, self.crop, self.crop)


def batches_from(dataset: Dataset, steps: int, *, workers: int = 0) -> Callable[[int], Iterator]:
    """A function from the first step to the batches of all remaining steps, in order whatever the workers.

    Args:
        dataset: step to batch.
        steps: of the whole run.
        workers: threads that prepare batches ahead. Threads, not processes: decoding releases the interpreter lock, all
            share the decoded images, and nothing passes through ``/dev/shm``, which is small in containers.
    """

    def start_at(first: int) -> Iterator:
        steps_left = range(first, steps)
        return _ahead(dataset, steps_left, workers) if workers else (dataset[step] for step in steps_left)

    return start_at


def _ahead(dataset: Dataset, steps: Iterable[int], workers: int) -> Iterator:
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for step in steps:
                waiting.append(pool.submit(dataset.__getitem__, step))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
