"""Stage ``transfer``: what a system gains from our synthetic pairs (SigFusion, "Broader Impact of PLGN").

Each named system is trained twice over with the options of ``systems.<task>``: by its own objective on the synthetic
pairs, then, from what that left, on the real ones, with the same crops in the same order as stage ``systems`` takes.
The difference between both stages' networks is the start. Where a system learns from fused images (EMMA), those of
synthetic pairs are the photographs that they were made of.
"""

import sys
from dataclasses import replace

import numpy as np

from sigforge.core.colour import luma
from sigforge.methods.systems.registry import SYSTEMS
from sigforge.methods.systems.training import SYNTHETIC, Material, Samples
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import ShardPairs
from sigforge.stages._base import StageContext, main, open_folder
from sigforge.stages._photographs import originals_of, photo_manifest
from sigforge.stages.systems import material, open_root, system_key, train_each, train_runs


def run(context: StageContext) -> None:
    """Train every named system of a task on synthetic pairs, then on real ones."""
    names = getattr(context.params.transfer, context.task)
    open_root(context, names)
    if not names:
        return
    corpora = any(SYSTEMS.get(name).corpora for name in names)
    synthetic, real = synthetic_material(context), material(context, with_corpora=corpora)

    def train(name: str) -> None:
        folder = open_folder(context.folder() / name, transfer_key(context, name))
        train_runs(context, name, synthetic, folder / SYNTHETIC, f"{name} {SYNTHETIC}")
        train_runs(context, name, replace(real, start=folder / SYNTHETIC), folder)

    train_each(context, names, train)
    for shard in shards_in(context.folder("synth")):
        context.ledger.dataset(shard.table.stem, shard.table)


def transfer_key(context: StageContext, name: str) -> dict[str, object]:
    """What decides a system that learns from synthetic pairs, then from real ones."""
    tables = [shard.table for shard in shards_in(context.folder("synth"))]
    photographs = [photo_manifest(context)] if SYSTEMS.get(name).corpora else []
    return system_key(
        context, name, files=[*tables, *photographs], code=["sigforge.shards.pairs", "sigforge.stages._photographs"]
    )


def synthetic_material(context: StageContext) -> Material:
    """The pairs that stage ``synth`` made; in the place of fused images, their photographs.

    Raises:
        UserError: there is none.
    """
    pairs = ShardPairs(context.folder("synth"))
    photographs = originals_of(context, side=len(pairs[0][0]))

    def sources(index: int) -> np.ndarray:
        return np.stack([luma(image) for image in pairs[index]])

    def with_photograph(index: int) -> np.ndarray:
        return np.concatenate([luma(photographs(pairs.row(index)))[None], sources(index)])

    both, fused = (Samples(load, len(pairs)) for load in (sources, with_photograph))
    return Material(context.task, context.params.seed, both, fused)


if __name__ == "__main__":
    sys.exit(main("transfer", run, sections=("systems", "transfer", "compute")))
