"""Stage ``pretext``: the fusion network learns on synthetic pairs, its own pseudo-labels (SigFusion, Eqs. 1-3).

The paper's ablations are two more forms of it, ``pretext.source``: ``natural`` takes the same photographs without
modulation, so that both sources are one image; ``none`` hands the network on as it starts.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sigforge.core.colour import luma
from sigforge.core.seeds import seed_of
from sigforge.methods.sigfusion.fusion import KIND, FusionNet
from sigforge.methods.sigfusion.sigformer import load_sigformer
from sigforge.methods.sigfusion.training import fusion_losses
from sigforge.methods.weights import MODEL
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import ShardPairs
from sigforge.stages._base import StageContext, key_of, main
from sigforge.stages._photographs import originals_of, photo_manifest
from sigforge.stages._trained import train
from sigforge.training.crops import CropBatches
from sigforge.training.run import TrainingRun


@dataclass(frozen=True)
class PretextSource:
    """Pairs to learn from.

    Args:
        load: index to lumas (2, H, W).
        count: how many pairs there are.
        tables: files that say which they are, for key and ledger.
        facts: what else decides the pairs.
    """

    load: Callable[[int], np.ndarray]
    count: int
    tables: Sequence[Path]
    facts: object = None


def run(context: StageContext) -> None:
    """Train a fusion network, started from SigFormer's weights, on the task's shards."""
    params, task, config = context.params, context.task, context.params.pretext
    torch.manual_seed(seed_of(params.seed, "pretext", task))
    start, architecture = context.folder("pretrain") / MODEL, params.sigformer.architecture
    net, source = FusionNet(load_sigformer(start, architecture)), SOURCES[config.source](context)
    names = (params.seed, "pretext", task)
    training = TrainingRun(
        net,
        CropBatches(source.load, source.count, batch=config.batch, crop=config.crop, turns=task != "vif", names=names),
        fusion_losses(net, task, config.exposure_target),
        config if source.count else config.model_copy(update={"steps": 0}),
        kind=KIND,
        architecture={"task": task, "sigformer": architecture.model_dump(mode="json")},
    )
    key = key_of(params.seed, config, source.facts, files=[*source.tables, start], code=[context.module])
    train(context, training, key=key)
    for table in source.tables:
        context.ledger.dataset(table.stem, table)


def synthetic(context: StageContext) -> PretextSource:
    """What stage ``synth`` made."""
    folder = context.folder("synth")
    pairs, tables = ShardPairs(folder), [shard.table for shard in shards_in(folder)]
    return PretextSource(lambda index: np.stack([luma(image) for image in pairs[index]]), len(pairs), tables)


def natural(context: StageContext) -> PretextSource:
    """The photographs of the same samples, cut in the same way, each as both of its sources."""
    pairs = ShardPairs(context.folder("synth"))
    photographs = originals_of(context, side=len(pairs[0][0]))
    numbers = [int(pairs.row(index)["key"]) for index in range(len(pairs))]

    def load(index: int) -> np.ndarray:
        plane = luma(photographs(pairs.row(index)))
        return np.stack([plane, plane])

    # Not the tables of the shards: they change with the modulators, of which nothing is seen here.
    facts = [photographs.size, numbers, [photo.sha256 for photo in photographs.photos]]
    return PretextSource(load, len(numbers), [photo_manifest(context)], facts)


def nothing(_context: StageContext) -> PretextSource:
    """No pretext training."""
    return PretextSource(lambda index: np.empty((2, 0, 0)), 0, [])


SOURCES = {"plgn": synthetic, "natural": natural, "none": nothing}


if __name__ == "__main__":
    sys.exit(main("pretext", run, sections=("sigformer", "pretext", "compute")))
