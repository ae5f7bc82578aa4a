"""Stage ``pretext``: the fusion network learns on synthetic pairs, its own pseudo-labels (SigFusion, Eqs. 1-3)."""

import sys

import numpy as np
import torch

from components.colour import luma
from components.models.fusion import KIND, FusionNet
from components.models.sigformer import load_sigformer
from components.seeds import seed_of
from components.shards.layout import shards_in
from components.shards.reader import ShardPairs
from components.stages.base import Context, key_of, main
from components.stages.trained import MODEL, train
from components.training.data import CropBatches
from components.training.fusion import fusion_losses

CODE = ("colour", "images", "losses", "models", "shards", "signal", "training")
"""Source that decides the result: a change of it trains anew."""


def run(context: Context) -> None:
    """Train a fusion network, started from SigFormer's weights, on the task's shards."""
    params, task = context.params, context.task
    torch.manual_seed(seed_of(params.seed, "pretext", task))
    net, pairs = FusionNet(load_sigformer(context.folder("pretrain") / MODEL, params.sigformer)), ShardPairs(context.folder("synth"))
    crops = CropBatches(
        lambda index: np.stack([luma(image) for image in pairs[index]]),
        len(pairs),
        batch=params.pretext.batch,
        crop=params.pretext.crop,
        turns=task != "vif",
        names=(params.seed, "pretext", task),
    )
    tables = [shard.table for shard in shards_in(context.folder("synth"))]
    inputs = [*tables, context.folder("pretrain") / MODEL]
    train(
        context,
        net,
        crops,
        fusion_losses(net, task, params.pretext.exposure_target),
        params.pretext,
        kind=KIND,
        architecture={"task": task, "sigformer": params.sigformer.model_dump(mode="json")},
        key=key_of(params.seed, params.pretext, files=inputs, code=CODE),
        validate=dict,
    )
    for table in tables:
        context.ledger.dataset(table.stem, table)


if __name__ == "__main__":
    sys.exit(main("pretext", run, sections=("sigformer", "pretext", "compute")))
