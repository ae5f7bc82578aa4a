"""What SSPFusion can be told; epochs are counted on the 1083 pairs of MSRS."""

from typing import ClassVar

from pydantic import Field

from sigforge.methods.systems.options import Options, as_published
from sigforge.methods.systems.sspfusion.losses import ALPHA, BETA
from sigforge.methods.systems.sspfusion.network import SspConfig, SSPFusion
from sigforge.training.config import TrainConfig


class SspOptions(Options):
    """SSPFusion: the extractor, then the fusion network; the paper does not say its batch."""

    multiple: ClassVar[int] = SSPFusion.multiple
    network: SspConfig = SspConfig()
    structure: TrainConfig = as_published(steps=6_769, batch=8, crop=256, lr=2e-4, schedule="cosine")
    fusion: TrainConfig = as_published(steps=40_613, batch=8, crop=256, lr=2e-4, schedule="cosine")
    alpha: float = Field(ALPHA, ge=0, description="weight of the structure term, Eq. (9)")
    beta: float = Field(BETA, ge=0, description="weight of the rebuilding term")
