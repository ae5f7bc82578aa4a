"""Training DeFusion: one run, on masked views of single images."""

from collections.abc import Iterator

from sigforge.methods.systems.defusion.losses import defusion_losses
from sigforge.methods.systems.defusion.network import KIND, DeFusion
from sigforge.methods.systems.defusion.options import DeFusionOptions
from sigforge.methods.systems.defusion.views import masked_views
from sigforge.methods.systems.registry import system
from sigforge.methods.systems.training import Material
from sigforge.training.run import TrainingRun


@system("defusion", options=DeFusionOptions)
def train_defusion(options: DeFusionOptions, data: Material) -> Iterator[TrainingRun]:
    """One run, on masked views of single images."""
    size, config = options.network.model_dump(), options.views
    net = data.begin(DeFusion(**size), KIND, size)
    views = masked_views(data, config, "views", channels=size["channels"], folded=True)
    yield TrainingRun(net, views, defusion_losses(net, steps=config.steps), config, KIND, size)
