"""The photographs that stage ``synth`` made its pairs of, as a stage finds them."""

from pathlib import Path

from sigforge.dataset.tables import read_photos
from sigforge.stages._base import StageContext
from sigforge.synthesis.originals import Originals


def photo_manifest(context: StageContext) -> Path:
    """The table of all photographs."""
    return context.folder("ingest", "photos") / "photos.parquet"


def originals_of(context: StageContext, side: int) -> Originals:
    """What synthetic samples with sides of ``side`` pixels were made of."""
    return Originals(read_photos(photo_manifest(context))[: context.params.synth.limit], side, context.params.seed)
