"""Training DeFusion++: masked views of single images; then, per step, either these or pairs of two modalities."""

from collections.abc import Callable, Iterator

from torch import Tensor, nn
from torch.utils.data import Dataset

from sigforge.dataset.tasks import MULTI_MODAL
from sigforge.methods.systems.defusion.views import Masked, MaskedViews, masked_views
from sigforge.methods.systems.defusion_pp.forms import KIND, AnyForm, build_defusion_pp
from sigforge.methods.systems.defusion_pp.losses import (
    DeFusionPPTraining,
    Pairs,
    defusion_pp_losses,
    frozen_encoder,
)
from sigforge.methods.systems.defusion_pp.options import DeFusionPPOptions
from sigforge.methods.systems.defusion_pp.released import ReleasedDeFusionPP
from sigforge.methods.systems.defusion_pp.released_losses import ReleasedTraining, frozen_tokens, released_losses
from sigforge.methods.systems.registry import system
from sigforge.methods.systems.training import Material
from sigforge.training.run import TrainingRun

LossFunction = Callable[[Masked | Pairs], dict[str, Tensor]]


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
    size = options.network.architecture
    net = data.begin(build_defusion_pp(size), KIND, size)
    facts, two_modalities = (KIND, size, net), data.task in MULTI_MODAL
    alone, losses = as_trained(net, options)
    views = masked_views(data, options.views, "views", channels=net.channels)
    yield TrainingRun(alone, views, losses, options.views, *facts, part="views" if two_modalities else "")
    if two_modalities:
        taught, losses = as_trained(net, options, teachers=2)
        views = masked_views(data, options.pairs, "both", channels=net.channels)
        both = ViewsAndPairs(views, data.crops(options.pairs, "pairs"))
        yield TrainingRun(taught, both, losses, options.pairs, *facts)


def as_trained(net: AnyForm, options: DeFusionPPOptions, *, teachers: int = 0) -> tuple[nn.Module, LossFunction]:
    """What is trained, with what only its training needs, and its losses.

    Args:
        net: of either form.
        options: weights of the losses of form ``paper``.
        teachers: how many frozen copies of its encoder teach it, two or none.
    """
    if isinstance(net, ReleasedDeFusionPP):
        released = ReleasedTraining(net, [frozen_tokens(net) for _ in range(teachers)])
        return released, released_losses(released)
    training = DeFusionPPTraining(net, [frozen_encoder(net) for _ in range(teachers)])
    return training, defusion_pp_losses(training, alpha=options.alpha, keep=options.keep)
