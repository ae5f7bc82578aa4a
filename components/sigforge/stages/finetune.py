"""Stage ``finetune``: the fusion network trains on real pairs with the pretext task's loss (SigFusion, Eq. 16)."""

import sys
from collections.abc import Sequence

import numpy as np
import torch

from sigforge.core.seeds import seed_of
from sigforge.dataset.tables import Pair, read_pairs
from sigforge.methods.sigfusion.fusion import KIND, build_fusion
from sigforge.methods.sigfusion.training import fusion_losses
from sigforge.methods.weights import MODEL, load_weights
from sigforge.stages._base import StageContext, key_of, main
from sigforge.stages._trained import train, training_pairs
from sigforge.training.crops import CropBatches
from sigforge.training.planes import PlaneCache
from sigforge.training.run import TrainingRun
from sigforge.training.validate import mean_fusion_loss


def run(context: StageContext) -> None:
    """Fine-tune the pretext network of a task on its training pairs."""
    params, task = context.params, context.task
    manifest = context.folder("ingest") / "pairs.parquet"
    pairs = read_pairs(manifest)
    training = training_pairs(pairs, task)
    torch.manual_seed(seed_of(params.seed, "finetune", task))
    network, cache = params.fusion.network(params.sigformer.architecture), PlaneCache()
    net, architecture = build_fusion(network), network.architecture(task)
    start = context.folder("pretext") / MODEL
    load_weights(start, net, kind=KIND, config=architecture)
    losses = fusion_losses(net, params.loss.supervision(task))
    held_out = [pair for pair in pairs if pair.split == "val"]
    tuning = TrainingRun(
        net,
        _crops(context, training, cache),
        losses,
        params.finetune,
        kind=KIND,
        architecture=architecture,
        validate=lambda: mean_fusion_loss(net, losses, (_planes(pair, cache) for pair in held_out)),
    )
    key = key_of(params.seed, params.finetune, params.loss, files=[manifest, start], code=[context.module])
    train(context, tuning, key=key)
    context.ledger.dataset(f"{task} pairs", manifest)


def _crops(context: StageContext, pairs: Sequence[Pair], cache: PlaneCache) -> CropBatches:
    config = context.params.finetune
    return CropBatches(
        lambda index: _planes(pairs[index], cache),
        len(pairs),
        batch=config.batch,
        crop=config.crop,
        turns=context.task != "vif",
        names=(context.params.seed, "finetune", context.task),
    )


def _planes(pair: Pair, cache: PlaneCache) -> np.ndarray:
    return np.stack([cache(pair.a_path), cache(pair.b_path)])


if __name__ == "__main__":
    sys.exit(main("finetune", run, sections=("sigformer", "fusion", "loss", "finetune", "compute")))
