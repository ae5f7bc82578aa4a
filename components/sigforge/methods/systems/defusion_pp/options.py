"""What DeFusion++ can be told; epochs are counted on 50 000 images for views, on MSRS's 1083 pairs for pairs."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sigforge.methods.systems.defusion_pp.losses import ALPHA, KEEP
from sigforge.methods.systems.defusion_pp.network import PATCH
from sigforge.methods.systems.options import Options, as_published
from sigforge.training.config import TrainConfig


class DeFusionPPSize(BaseModel):
    """How DeFusion++ is built; ViT-T."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    form: Literal["released", "paper"] = Field(
        "released", description="as the authors' code has it, or by the paper's text where that says something else"
    )
    width: int = Field(192, ge=1)
    heads: int = Field(3, ge=1, description="of form 'paper'; 'released' has 6, 12 and 16")
    depth: int = Field(12, ge=1)

    @model_validator(mode="after")
    def _whole_heads(self) -> "DeFusionPPSize":
        if self.form == "released" and self.width % 48:
            raise ValueError(f"width {self.width} is no multiple of 48, which form 'released' needs")
        if self.form == "paper" and self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of the {self.heads} heads; choose one that is")
        return self

    @property
    def architecture(self) -> dict[str, Any]:
        """What a model file says of itself, see :mod:`sigforge.methods.systems.defusion_pp.forms`."""
        return self.model_dump(exclude={"heads"} if self.form == "released" else {"form"})


class DeFusionPPOptions(Options):
    """DeFusion++; ``pairs`` only for tasks of two modalities, half of its steps are on views."""

    multiple: ClassVar[int] = PATCH
    network: DeFusionPPSize = DeFusionPPSize()
    views: TrainConfig = as_published(steps=93_750, batch=8, crop=224, halve_at=(2 / 3,))
    pairs: TrainConfig = as_published(steps=4_062, batch=16, crop=224, halve_at=(2 / 3,))
    alpha: float = Field(ALPHA, ge=0, description="weight of the masked features, Eq. (9); of form 'paper'")
    keep: float = Field(KEEP, gt=0, le=1, description="part of the tokens that is sampled; of form 'paper'")
