"""Stage ``pretrain``: SigFormer learns to reconstruct photographs from their subbands (SigFusion, Eq. 15)."""

import sys

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.core.seeds import seed_of
from sigforge.dataset.tables import read_photos
from sigforge.methods.sigfusion.sigformer import KIND, SigFormer
from sigforge.stages._base import StageContext, key_of, main
from sigforge.stages._trained import train
from sigforge.training.crops import CropBatches
from sigforge.training.planes import PlaneCache
from sigforge.training.run import TrainingRun
from sigforge.training.validate import reconstruction

HELD_OUT = 10
"""Every tenth photograph is left out of training and measures reconstruction."""


def run(context: StageContext) -> None:
    """Train SigFormer on photographs; measure how well, and through which subbands, it reconstructs unseen ones.

    With ``sigformer.pretrained: false`` it stays as it starts, and so do all networks that are built on it.
    """
    params = context.params
    config = params.pretrain if params.sigformer.pretrained else params.pretrain.model_copy(update={"steps": 0})
    manifest = context.folder("ingest", "photos") / "photos.parquet"
    photos = read_photos(manifest)
    seen = [photo for index, photo in enumerate(photos) if index % HELD_OUT]
    torch.manual_seed(seed_of(params.seed, "pretrain"))
    model, cache = SigFormer(params.sigformer.architecture), PlaneCache()
    crops = CropBatches(
        lambda index: cache(seen[index].path)[None],
        len(seen),
        batch=params.pretrain.batch,
        crop=params.pretrain.crop,
        turns=True,
        names=(params.seed, "pretrain"),
    )

    def losses(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        image = batch[0][0].to(next(model.parameters()).device, non_blocking=True)
        return {"loss": F.mse_loss(model(image), image)}

    training = TrainingRun(
        model,
        crops,
        losses,
        config,
        kind=KIND,
        architecture=params.sigformer.architecture.model_dump(mode="json"),
        validate=lambda: reconstruction(model, (cache(photo.path) for photo in photos[::HELD_OUT])),
    )
    key = key_of(params.seed, params.sigformer, params.pretrain, files=[manifest], code=[context.module])
    train(context, training, key=key)
    context.ledger.dataset("photographs", manifest)


if __name__ == "__main__":
    sys.exit(main("pretrain", run, sections=("sigformer", "pretrain", "compute"), tasks=()))
