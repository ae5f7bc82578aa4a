"""What the mission's systems can be told, under ``systems.<task>.<name>`` of params.yaml.

Defaults are the papers', epochs counted on their data sets: 1083 pairs of MSRS (EMMA, SSPFusion, pairs of DeFusion++),
50 000 images (DeFusion, views of DeFusion++); ``docs/systems.md`` tells what they leave open.
"""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sigforge.methods.systems.defusion.network import MULTIPLE
from sigforge.methods.systems.defusion_pp.network import PATCH
from sigforge.methods.systems.defusion_pp.training import ALPHA, KEEP
from sigforge.methods.systems.emma.losses import ALPHA_1, ALPHA_2
from sigforge.methods.systems.emma.network import Sensing, SensingConfig, UFuserConfig
from sigforge.methods.systems.sspfusion.losses import ALPHA as STRUCTURE
from sigforge.methods.systems.sspfusion.losses import BETA as REBUILDING
from sigforge.methods.systems.sspfusion.network import SspConfig, SSPFusion
from sigforge.training.config import TrainConfig


class Options(BaseModel):
    """Base of what a system can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    multiple: ClassVar[int] = 1

    @model_validator(mode="after")
    def _crops_fit(self) -> "Options":
        for name, config in self:
            if isinstance(config, TrainConfig) and config.crop % self.multiple:
                raise ValueError(f"{name}.crop: {config.crop} is no multiple of {self.multiple}; choose one that is")
        return self


def as_published(**values: Any) -> Any:
    """The type of a :class:`TrainConfig` whose values are ``values`` where the user says nothing else."""
    fill = BeforeValidator(lambda given: values | given if isinstance(given, dict) else given)
    return Annotated[TrainConfig, fill, Field(default_factory=dict, validate_default=True)]


class DeFusionSize(BaseModel):
    """How DeFusion is built."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    channels: int = Field(3, ge=1, le=3, description="of the images; a luma is repeated")
    width: int = Field(16, ge=8, multiple_of=8, description="channels of the first layer")


class DeFusionPPSize(BaseModel):
    """How DeFusion++ is built; ViT-T."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    width: int = Field(192, ge=1)
    heads: int = Field(3, ge=1)
    depth: int = Field(12, ge=1)

    @model_validator(mode="after")
    def _whole_heads(self) -> "DeFusionPPSize":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of the {self.heads} heads; choose one that is")
        return self


class DeFusionOptions(Options):
    """DeFusion; ``batch`` counts pairs, of which both images are views' originals."""

    multiple: ClassVar[int] = MULTIPLE
    network: DeFusionSize = DeFusionSize()
    views: as_published(
        steps=637_500, batch=2, crop=256, lr=1e-3, halve_at=tuple(epoch / 51 for epoch in (10, 20, 30, 40))
    )


class DeFusionPPOptions(Options):
    """DeFusion++; ``pairs`` only for tasks of two modalities, half of its steps are on views."""

    multiple: ClassVar[int] = PATCH
    network: DeFusionPPSize = DeFusionPPSize()
    views: as_published(steps=93_750, batch=8, crop=224, halve_at=(2 / 3,))
    pairs: as_published(steps=4_062, batch=16, crop=224, halve_at=(2 / 3,))
    alpha: float = Field(ALPHA, ge=0, description="weight of the masked features, Eq. (9)")
    keep: float = Field(KEEP, gt=0, le=1, description="part of the tokens that is sampled")


class EmmaOptions(Options):
    """EMMA: the sensing networks, on fused images, then U-Fuser."""

    multiple: ClassVar[int] = Sensing.multiple
    network: UFuserConfig = UFuserConfig()
    senses: SensingConfig = SensingConfig()
    sensing: as_published(steps=10_153, batch=64, halve_at=(0.25, 0.5, 0.75))
    fusion: as_published(steps=13_538, batch=8, halve_at=(0.2, 0.4, 0.6, 0.8))
    alpha_1: float = Field(ALPHA_1, ge=0, description="weight of the second source's term, Eq. (6)")
    alpha_2: float = Field(ALPHA_2, ge=0, description="weight of the equivariance term")


class ReFusionOptions(Options):
    """ReFusion; ``steps`` are those of both kinds together."""

    training: as_published(steps=111_100, batch=4)
    meta_steps: int = Field(600, ge=1, description="outer updates at the start of an epoch, M of Algorithm 1")
    fusion_steps: int = Field(1622, ge=1, description="updates of fusion and reconstruction after them, N")
    inner_lr: float = Field(1e-3, gt=0, description="step size of Eqs. (7) and (8), which the paper leaves open")


class SspOptions(Options):
    """SSPFusion: the extractor, then the fusion network; the paper does not say its batch."""

    multiple: ClassVar[int] = SSPFusion.multiple
    network: SspConfig = SspConfig()
    structure: as_published(steps=6_769, batch=8, crop=256, lr=2e-4, schedule="cosine")
    fusion: as_published(steps=40_613, batch=8, crop=256, lr=2e-4, schedule="cosine")
    alpha: float = Field(STRUCTURE, ge=0, description="weight of the structure term, Eq. (9)")
    beta: float = Field(REBUILDING, ge=0, description="weight of the rebuilding term")
