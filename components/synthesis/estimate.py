"""What a plan will take: shards, samples, bytes, time and disk, from a few samples made for the purpose."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.errors import UserError
from components.synthesis.shards import Recipe, Shard, make_shard

PROBE = 4
"""Samples made for an estimate, after a first one that also pays for loading the model."""


@dataclass(frozen=True)
class Estimate:
    """Of a whole plan; ``size`` in bytes, ``seconds`` with all workers busy, ``probed`` samples were measured."""

    shards: int
    samples: int
    refused: int
    size: int
    seconds: float
    probed: int

    def text(self, folder: Path) -> str:
        """Lines for a person; ``folder`` need not exist, what is free on its disk is told."""
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(place).free
        enough = "enough" if free > self.size else "TOO LITTLE"
        return (
            f"shards   {self.shards}\nsamples  {self.samples} ({self.refused} more refused before they are made)\n"
            f"bytes    {self.size:,} (about)\ntime     {self.seconds:,.0f} s (about, from {self.probed} samples)\n"
            f"disk     {free:,} bytes free at {place}: {enough}"
        )


def estimate(shards: Sequence[Shard], *, recipe: Recipe, workers: int = 1) -> Estimate:
    """Measure samples spread over the plan, written to a temporary folder that is removed.

    Raises:
        UserError: none of the photographs tried gives a pair.
    """
    allowed = [(n, photo) for s in shards for n, photo in enumerate(s.photos, s.first) if n not in s.refused]
    chosen = allowed[:: max(1, len(allowed) // (PROBE + 1))][: PROBE + 1]
    with tempfile.TemporaryDirectory() as folder:
        reports, seconds = [], []
        for position, (number, photo) in enumerate(chosen):
            started = time.monotonic()
            reports.append(make_shard(Shard(position, number, (photo,)), recipe=recipe, folder=Path(folder), key={}))
            seconds.append(time.monotonic() - started)
    made = [report["bytes"] for report in reports if report["samples"]]
    if not made:
        raise UserError("no photograph tried for the plan gives a pair: lower 'size', or see their reasons in a run")
    busy = seconds[1:] or seconds
    share = len(made) / len(chosen)
    processes = 1 if recipe.device == "cuda" else min(workers, len(shards))
    return Estimate(
        len(shards),
        round(len(allowed) * share),
        sum(len(shard.refused) for shard in shards),
        round(len(allowed) * share * sum(made) / len(made)),
        len(allowed) * sum(busy) / len(busy) / processes,
        len(chosen),
    )
