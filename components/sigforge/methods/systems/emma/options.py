"""What EMMA can be told; epochs are counted on the 1083 pairs of MSRS."""

from typing import ClassVar

from pydantic import Field

from sigforge.methods.systems.emma.losses import ALPHA_1, ALPHA_2
from sigforge.methods.systems.emma.network import Sensing, SensingConfig, UFuserConfig
from sigforge.methods.systems.options import Options, as_published
from sigforge.training.config import TrainConfig


class EmmaOptions(Options):
    """EMMA: the sensing networks, on fused images, then U-Fuser."""

    multiple: ClassVar[int] = Sensing.multiple
    network: UFuserConfig = UFuserConfig()
    senses: SensingConfig = SensingConfig()
    sensing: TrainConfig = as_published(steps=10_153, batch=64, halve_at=(0.25, 0.5, 0.75))
    fusion: TrainConfig = as_published(steps=13_538, batch=8, halve_at=(0.2, 0.4, 0.6, 0.8))
    alpha_1: float = Field(ALPHA_1, ge=0, description="weight of the second source's term, Eq. (6)")
    alpha_2: float = Field(ALPHA_2, ge=0, description="weight of the equivariance term")
