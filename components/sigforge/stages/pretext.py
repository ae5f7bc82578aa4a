"""Stage ``pretext``: the fusion network learns on synthetic pairs, its own pseudo-labels (SigFusion, Eqs. 1-3).

The paper's ablations are two more forms of it, ``pretext.source``: ``natural`` takes the same photographs without
modulation, so that both sources are one image; ``none`` hands the network on as it starts.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.seeds import seed_of
from sigforge.core.storage import Place
from sigforge.methods.sigfusion.fusion import KIND, build_fusion
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
        load: index to lumas (2, H, W), or (3, H, W) with the photograph as the last.
        count: how many pairs there are.
        tables: files that say which they are, for key and ledger.
        facts: what else decides the pairs.
    """

    load: Callable[[int], np.ndarray]
    count: int
    tables: Sequence[Place]
    facts: object = None


def run(context: StageContext) -> None:
    """Train a fusion network, started from SigFormer's weights where its form has them, on the task's shards."""
    params, task, config = context.params, context.task, context.params.pretext
    torch.manual_seed(seed_of(params.seed, "pretext", task))
    start, network = context.folder("pretrain") / MODEL, params.fusion.network(params.sigformer.architecture)
    starts = [start] if network.form == "tokens" else []
    net = build_fusion(network, load_sigformer(start, network.sigformer) if starts else None)
    source = SOURCES[config.source](context)
    photograph = config.target == "photograph"
    names = (params.seed, "pretext", task)
    training = TrainingRun(
        net,
        CropBatches(source.load, source.count, batch=config.batch, crop=config.crop, turns=task != "vif", names=names),
        fusion_losses(net, params.loss.supervision(task, photograph=photograph)),
        config if source.count else config.model_copy(update={"steps": 0}),
        kind=KIND,
        architecture=network.architecture(task),
    )
    facts, files = (params.seed, config, params.loss, network, source.facts), [*source.tables, *starts]
    key = key_of(*facts, files=files, code=[context.module])
    train(context, training, key=key)
    for table in source.tables:
        context.ledger.dataset(table.stem, table)


def synthetic(context: StageContext) -> PretextSource:
    """What stage ``synth`` made, with the photographs behind where they are the labels."""
    folder = context.folder("synth")
    pairs, tables = ShardPairs(folder), [shard.table for shard in shards_in(folder)]

    def load(index: int) -> np.ndarray:
        return np.stack([luma(image) for image in pairs[index]])

    if context.params.pretext.target == "sources":
        return PretextSource(load, len(pairs), tables)
    photographs = originals_of(context, side=len(pairs[0][0]))

    def labelled(index: int) -> np.ndarray:
        return np.concatenate([load(index), luma(photographs(pairs.row(index)))[None]])

    return PretextSource(labelled, len(pairs), [*tables, photo_manifest(context)])


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
    if context.params.pretext.target == "photograph":
        raise UserError("'pretext.target: photograph' with 'pretext.source: natural' would copy; choose 'sources'")
    return PretextSource(load, len(numbers), [photo_manifest(context)], facts)


def nothing(_context: StageContext) -> PretextSource:
    """No pretext training."""
    return PretextSource(lambda index: np.empty((2, 0, 0)), 0, [])


SOURCES = {"plgn": synthetic, "natural": natural, "none": nothing}


if __name__ == "__main__":
    sys.exit(main("pretext", run, sections=("sigformer", "fusion", "loss", "pretext", "compute")))
