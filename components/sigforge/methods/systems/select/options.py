"""What the head alone can be told; the defaults are those of SigFusion's own loss."""

from typing import Annotated

from pydantic import Field

from sigforge.losses.fusion import FusionLoss, GradientReading, IntensityTarget, LossReading, Term, task_weights
from sigforge.methods.systems.options import Options, as_published
from sigforge.training.config import TrainConfig


class SelectOptions(Options):
    """The selecting head alone; no paper's, so steps and batch are ours, too."""

    training: TrainConfig = as_published(steps=400, batch=8, crop=96, lr=2e-3, warmup=20, schedule="cosine")
    gradient: GradientReading = "signed"
    intensity: IntensityTarget = "max"
    weights: dict[Term, Annotated[float, Field(ge=0)]] = Field({"both": 4.0}, description="instead of the paper's")
    share: float = Field(0.1, ge=0, lt=0.3, description="least share of every source, on average over a batch")

    def loss(self, task: str) -> FusionLoss:
        """The loss of a task."""
        return FusionLoss(LossReading(self.gradient, self.intensity), task_weights(task) | self.weights)
