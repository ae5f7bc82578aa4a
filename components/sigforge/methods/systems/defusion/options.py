"""What DeFusion can be told; epochs are counted on the paper's 50 000 images."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from sigforge.methods.systems.defusion.network import MULTIPLE
from sigforge.methods.systems.options import Options, as_published
from sigforge.training.config import TrainConfig


class DeFusionSize(BaseModel):
    """How DeFusion is built."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    channels: int = Field(3, ge=1, le=3, description="of the images; a luma is repeated")
    width: int = Field(16, ge=8, multiple_of=8, description="channels of the first layer")


class DeFusionOptions(Options):
    """DeFusion; ``batch`` counts pairs, of which both images are views' originals."""

    multiple: ClassVar[int] = MULTIPLE
    network: DeFusionSize = DeFusionSize()
    views: TrainConfig = as_published(
        steps=637_500, batch=2, crop=256, lr=1e-3, halve_at=tuple(epoch / 51 for epoch in (10, 20, 30, 40))
    )
