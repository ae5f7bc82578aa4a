"""What a plan will take: shards, samples, bytes, time and disk, from a few samples made for the purpose."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sigforge.core.errors import UserError
from sigforge.core.storage import Place
from sigforge.synthesis.plan import ShardPlan
from sigforge.synthesis.run import make_shard
from sigforge.synthesis.samples import SynthesisRecipe, synthesizer_of

PROBE = 4
"""Samples made for an estimate, at least; as many more as fill the network's batches."""


@dataclass(frozen=True)
class SynthesisEstimate:
    """Of a whole plan; ``size`` in bytes, ``seconds`` with all workers busy, ``probed`` samples were measured."""

    shards: int
    samples: int
    refused: int
    size: int
    seconds: float
    probed: int

    def text(self, folder: Place) -> str:
        """Lines for a person; ``folder`` need not exist, what is free on its disk, if it has one, is told."""
        return (
            f"shards   {self.shards}\nsamples  {self.samples} ({self.refused} more refused before they are made)\n"
            f"bytes    {self.size:,} (about)\ntime     {self.seconds:,.0f} s (about, from {self.probed} samples)\n"
            f"disk     {self._room(folder)}"
        )

    def _room(self, folder: Place) -> str:
        if not isinstance(folder, Path):
            return f"{folder}: no limit known"
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(place).free
        return f"{free:,} bytes free at {place}: {'enough' if free > self.size else 'TOO LITTLE'}"


def estimate(shards: ShardPlan, *, recipe: SynthesisRecipe, workers: int = 1) -> SynthesisEstimate:
    """Measure samples from the middle of the plan, written to a temporary folder that is removed.

    Args:
        shards: the whole plan.
        recipe: what is made, and on which device.
        workers: processes that the run would have; a GPU always has one.

    Returns:
        what the whole plan would take, as if all of it were like the samples measured.

    Raises:
        UserError: none of the photographs tried gives a pair.
    """
    probe = shards.part(0, _probed(shards, recipe))
    tried = len(probe.photos) - len(probe.refused)
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        report = make_shard(probe, recipe=recipe, folder=Path(folder), key={})
        seconds = time.monotonic() - started
    made = report.samples
    if not made:
        raise UserError("no photograph tried for the plan gives a pair: lower 'size', or see their reasons in a run")
    processes = 1 if recipe.device == "cuda" else min(workers, len(shards))
    expected = round(shards.allowed * made / tried)
    return SynthesisEstimate(
        len(shards),
        expected,
        shards.samples - shards.allowed,
        round(expected * report.bytes / made),
        shards.allowed * seconds / tried / processes,
        tried,
    )


def _probed(shards: ShardPlan, recipe: SynthesisRecipe) -> range:
    """Whole batches in the middle of the plan; the network has been loaded and has run once when this returns."""
    maker = synthesizer_of(recipe)
    block = len(maker.subtasks) * recipe.batch
    count = min(-(-PROBE // block) * block, shards.samples)
    start = (shards.samples - count) // 2 // block * block
    for subtask in maker.subtasks:
        maker.modulate(np.full((recipe.batch, recipe.size, recipe.size, 3), 0.5, np.float32), subtask)
    return range(start, start + count)
