"""Training the head alone with SigFusion's loss."""

from collections.abc import Iterator

from sigforge.methods.sigfusion.training import Supervision, explained_losses
from sigforge.methods.systems.registry import system
from sigforge.methods.systems.select.network import KIND, SelectFusion
from sigforge.methods.systems.select.options import SelectOptions
from sigforge.methods.systems.training import Material
from sigforge.training.run import TrainingRun


@system("select", options=SelectOptions)
def train_select(options: SelectOptions, data: Material) -> Iterator[TrainingRun]:
    """One run on the task's pairs."""
    net, config = data.begin(SelectFusion(), KIND, {}), options.training
    losses = explained_losses(net.explain, Supervision(options.loss(data.task), share=options.share))
    yield TrainingRun(net, data.crops(config, "select"), losses, config, KIND, {})
