"""What ReFusion can be told."""

from pydantic import Field

from sigforge.methods.systems.options import Options, as_published
from sigforge.training.config import TrainConfig


class ReFusionOptions(Options):
    """ReFusion; ``steps`` are those of both kinds together."""

    training: TrainConfig = as_published(steps=111_100, batch=4)
    meta_steps: int = Field(600, ge=1, description="outer updates at the start of an epoch, M of Algorithm 1")
    fusion_steps: int = Field(1622, ge=1, description="updates of fusion and reconstruction after them, N")
    inner_lr: float = Field(1e-3, gt=0, description="step size of Eqs. (7) and (8), which the paper leaves open")
