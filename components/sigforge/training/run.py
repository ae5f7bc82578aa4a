"""One run of the training loop, as a record: what is trained, on what, by which losses, and what its file will say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset

from sigforge.training.config import TrainConfig


@dataclass(frozen=True)
class TrainingRun:
    """One run of :func:`sigforge.training.loop.fit`, and what becomes of its result.

    Attributes:
        model: what is trained.
        dataset: step to batch.
        losses: batch to named scalars, of which ``loss`` is minimised.
        config: steps, rate, batch and crop.
        kind, architecture: what the model file says of itself.
        kept: the part of ``model`` that goes into the file, all of it if not said.
        part: name of a network that only another run needs; empty for the one that fuses.
        validate: named values measured on the trained model; logged at the last step.
    """

    model: nn.Module
    dataset: Dataset
    losses: Callable[[Any], dict[str, Tensor]]
    config: TrainConfig
    kind: str
    architecture: dict[str, Any]
    kept: nn.Module | None = None
    part: str = ""
    validate: Callable[[], dict[str, float]] = dict

    @property
    def saved(self) -> nn.Module:
        """The network of the file."""
        return self.model if self.kept is None else self.kept
