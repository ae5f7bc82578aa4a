"""Training DeFusion++: masked views of single images; then, per step, either these or pairs of two modalities."""

from collections.abc import Iterator

from torch.utils.data import Dataset

from sigforge.dataset.tasks import MULTI_MODAL
from sigforge.methods.systems.defusion.views import Masked, MaskedViews, masked_views
from sigforge.methods.systems.defusion_pp.losses import (
    DeFusionPPTraining,
    Pairs,
    defusion_pp_losses,
    frozen_encoder,
)
from sigforge.methods.systems.defusion_pp.network import KIND, DeFusionPP
from sigforge.methods.systems.defusion_pp.options import DeFusionPPOptions
from sigforge.methods.systems.registry import system
from sigforge.methods.systems.training import Material
from sigforge.training.run import TrainingRun


class ViewsAndPairs(Dataset):
    """Masked views at even steps and pairs of two modalities at odd ones; index = step."""

    def __init__(self, views: MaskedViews, pairs: Dataset) -> None:
        self.views, self.pairs = views, pairs

    def __getitem__(self, step: int) -> Masked | Pairs:
        """The batch of one step."""
        return self.pairs[step] if step % 2 else self.views[step]


@system("defusion_pp", options=DeFusionPPOptions)
def train_defusion_pp(options: DeFusionPPOptions, data: Material) -> Iterator[TrainingRun]:
    """Masked views; then, where the sources are two modalities, views and pairs, taught by what was learned."""
    size = options.network.model_dump()
    net = data.begin(DeFusionPP(**size), KIND, size)
    facts, weights = (KIND, size, net), {"alpha": options.alpha, "keep": options.keep}
    two_modalities = data.task in MULTI_MODAL
    alone = DeFusionPPTraining(net)
    views = masked_views(data, options.views, "views")
    part = "views" if two_modalities else ""
    yield TrainingRun(alone, views, defusion_pp_losses(alone, **weights), options.views, *facts, part=part)
    if two_modalities:
        taught = DeFusionPPTraining(net, [frozen_encoder(net) for _ in range(2)])
        both = ViewsAndPairs(masked_views(data, options.pairs, "both"), data.crops(options.pairs, "pairs"))
        yield TrainingRun(taught, both, defusion_pp_losses(taught, **weights), options.pairs, *facts)
