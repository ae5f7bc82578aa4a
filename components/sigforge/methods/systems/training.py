"""What the trainings of all systems are made of: the material they learn from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from sigforge.methods.weights import MODEL, load_weights
from sigforge.training.config import TrainConfig
from sigforge.training.crops import CropBatches, Sample

Net = TypeVar("Net", bound=nn.Module)

SYNTHETIC = "synthetic"
"""Folder, within a system's of stage ``transfer``, of what it learned before it saw a real pair."""


@dataclass(frozen=True)
class Samples:
    """Registered lumas: index below ``count`` to (n, H, W)."""

    load: Callable[[int], Sample]
    count: int


@dataclass(frozen=True)
class Material:
    """What the systems of a task learn from.

    Args:
        task: decides on quarter turns, and on what only pairs of two modalities can teach.
        seed: of the whole project.
        pairs: both sources of every training pair.
        fused: the image some method made of a training pair, then both sources; one sample per (pair, method). None
            where no system asks for it.
        start: folder of a former training of the same system, with whose networks this one begins.
    """

    task: str
    seed: int
    pairs: Samples
    fused: Samples | None = None
    start: Path | None = None

    def begin(self, net: Net, kind: str, architecture: dict[str, Any], part: str = "") -> Net:
        """Start a network from what the former training left, where there was one.

        Args:
            net: the network, with its random start.
            kind: that its file must name.
            architecture: configuration that its file must hold.
            part: subfolder of the former training's folder; empty for the network that fuses.

        Returns:
            ``net`` itself.

        Raises:
            UserError: the file is not of this kind or configuration.
        """
        if self.start is not None:
            load_weights(self.start / part / MODEL, net, kind=kind, config=architecture)
        return net

    def options(self, config: TrainConfig, part: str) -> dict[str, Any]:
        """What every data set of crops is told."""
        names = (self.seed, "systems", self.task, part)
        return {"batch": config.batch, "crop": config.crop, "turns": self.task != "vif", "names": names}

    def crops(self, config: TrainConfig, part: str) -> CropBatches:
        """Crops of the pairs."""
        return CropBatches(self.pairs.load, self.pairs.count, **self.options(config, part))
