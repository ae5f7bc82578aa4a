"""How the mission's systems are trained: for each its options, and its runs of the one loop in their order.

A system's function yields one :class:`Training` after the other; whoever asks for the next has finished the last, so
what stands behind a ``yield`` sees trained networks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.data import Dataset

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import MULTI_MODAL
from sigforge.methods.systems.defusion.network import KIND as DEFUSION
from sigforge.methods.systems.defusion.network import DeFusion
from sigforge.methods.systems.defusion.training import MaskedViews, defusion_losses
from sigforge.methods.systems.defusion_pp.network import KIND as DEFUSION_PP
from sigforge.methods.systems.defusion_pp.network import DeFusionPP
from sigforge.methods.systems.defusion_pp.training import (
    DeFusionPPTraining,
    ViewsAndPairs,
    defusion_pp_losses,
    frozen_encoder,
)
from sigforge.methods.systems.emma.network import KIND as EMMA
from sigforge.methods.systems.emma.network import SENSING_KIND, Sensing, UFuser
from sigforge.methods.systems.emma.training import EquivariantBatches, emma_losses, sensing_losses
from sigforge.methods.systems.options import (
    DeFusionOptions,
    DeFusionPPOptions,
    EmmaOptions,
    Options,
    ReFusionOptions,
    SspOptions,
)
from sigforge.methods.systems.refusion.network import KIND as REFUSION
from sigforge.methods.systems.refusion.network import ReFusionSystem
from sigforge.methods.systems.refusion.training import Episodes, refusion_losses
from sigforge.methods.systems.sspfusion.network import EXTRACTOR_KIND, Extractor, SSPFusion
from sigforge.methods.systems.sspfusion.network import KIND as SSPFUSION
from sigforge.methods.systems.sspfusion.training import extractor_losses, sspfusion_losses
from sigforge.methods.systems.trained import get_system
from sigforge.methods.weights import MODEL, load_weights
from sigforge.training.config import TrainConfig
from sigforge.training.crops import CropBatches, Sample


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

    def begin(self, net: nn.Module, kind: str, architecture: dict[str, Any], part: str = "") -> nn.Module:
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


@dataclass(frozen=True)
class Training:
    """One run of the loop.

    Args:
        part: folder of what only the training needs; empty for the network that fuses, the last of a system.
        model: what is trained.
        losses: see :func:`sigforge.training.loop.fit`.
        kind, architecture: what the model file says of itself.
        kept: the part of ``model`` that goes into the file, all of it if not said.
    """

    part: str
    model: nn.Module
    dataset: Dataset
    losses: Callable[[Any], dict[str, Tensor]]
    config: TrainConfig
    kind: str
    architecture: dict[str, Any]
    kept: nn.Module | None = None


def train_defusion(options: DeFusionOptions, data: Material) -> Iterator[Training]:
    """One run, on masked views of single images."""
    size, config = options.network.model_dump(), options.views
    net = data.begin(DeFusion(**size), DEFUSION, size)
    views = masked_views(data, config, "views", channels=size["channels"], folded=True)
    yield Training("", net, views, defusion_losses(net, steps=config.steps), config, DEFUSION, size)


def train_defusion_pp(options: DeFusionPPOptions, data: Material) -> Iterator[Training]:
    """Masked views; then, where the sources are two modalities, views and pairs, taught by what was learned."""
    size = options.network.model_dump()
    net = data.begin(DeFusionPP(**size), DEFUSION_PP, size)
    facts, weights = (DEFUSION_PP, size, net), {"alpha": options.alpha, "keep": options.keep}
    two_modalities = data.task in MULTI_MODAL
    alone = DeFusionPPTraining(net)
    views = masked_views(data, options.views, "views")
    part = "views" if two_modalities else ""
    yield Training(part, alone, views, defusion_pp_losses(alone, **weights), options.views, *facts)
    if two_modalities:
        taught = DeFusionPPTraining(net, [frozen_encoder(net) for _ in range(2)])
        both = ViewsAndPairs(masked_views(data, options.pairs, "both"), data.crops(options.pairs, "pairs"))
        yield Training("", taught, both, defusion_pp_losses(taught, **weights), options.pairs, *facts)


def train_emma(options: EmmaOptions, data: Material) -> Iterator[Training]:
    """The sensing networks, which look at the fused corpora; then, with these frozen, U-Fuser."""
    facts = (SENSING_KIND, options.senses.model_dump(mode="json"))
    sensing = data.begin(Sensing(options.senses), *facts, "sensing")
    corpora = CropBatches(data.fused.load, data.fused.count, **data.options(options.sensing, "sensing"))
    yield Training("sensing", sensing, corpora, sensing_losses(sensing), options.sensing, *facts)
    facts = (EMMA, options.network.model_dump(mode="json"))
    fuser = data.begin(UFuser(options.network), *facts)
    losses = emma_losses(fuser, sensing, alpha_1=options.alpha_1, alpha_2=options.alpha_2)
    pairs = EquivariantBatches(data.crops(options.fusion, "fusion"))
    yield Training("", fuser, pairs, losses, options.fusion, *facts)


def train_refusion(options: ReFusionOptions, data: Material) -> Iterator[Training]:
    """One run, in which steps of the loss proposal and of fusion and reconstruction take turns."""
    system, config = data.begin(ReFusionSystem(), REFUSION, {}), options.training
    turns = {"meta_steps": options.meta_steps, "fusion_steps": options.fusion_steps}
    episodes = Episodes(data.pairs.load, data.pairs.count, **data.options(config, "episodes"), **turns)
    losses = refusion_losses(system, inner_lr=options.inner_lr)
    yield Training("", system, episodes, losses, config, REFUSION, {})


def train_sspfusion(options: SspOptions, data: Material) -> Iterator[Training]:
    """The extractor of structure; then the fusion network around a copy of it."""
    facts, weights = options.network.model_dump(mode="json"), {"alpha": options.alpha, "beta": options.beta}
    extractor = data.begin(Extractor(options.network), EXTRACTOR_KIND, facts, "structure")
    crops, losses = data.crops(options.structure, "structure"), extractor_losses(extractor, **weights)
    yield Training("structure", extractor, crops, losses, options.structure, EXTRACTOR_KIND, facts)
    net = data.begin(SSPFusion(options.network), SSPFUSION, facts).start_from(extractor)
    crops, losses = data.crops(options.fusion, "fusion"), sspfusion_losses(net, extractor, **weights)
    yield Training("", net, crops, losses, options.fusion, SSPFUSION, facts)


def masked_views(
    data: Material, config: TrainConfig, part: str, *, channels: int = 1, folded: bool = False
) -> MaskedViews:
    """Masked views of the crops of all training pairs.

    Args:
        data: the pairs, and what was trained before.
        config: of the run; gives the side of the crops and the batch.
        part: name of the run, which seeds the crops.
        channels: of the views: 1 for luma, 3 for colour.
        folded: views and clean images as one set, see :class:`MaskedViews`.
    """
    crops = data.crops(config, part)
    return MaskedViews(crops, channels=channels, folded=folded, names=crops.names)


@dataclass(frozen=True)
class System:
    """How a system is trained.

    Args:
        options: what it can be told under ``systems.<task>.<name>``.
        trainings: its runs, in their order.
        corpora: it also learns from the fused images of stage ``fuse``.
    """

    options: type[Options]
    trainings: Callable[[Any, Material], Iterator[Training]]
    corpora: bool = False


SYSTEMS = {
    "defusion": System(DeFusionOptions, train_defusion),
    "defusion_pp": System(DeFusionPPOptions, train_defusion_pp),
    "emma": System(EmmaOptions, train_emma, corpora=True),
    "refusion_trained": System(ReFusionOptions, train_refusion),
    "sspfusion": System(SspOptions, train_sspfusion),
}


def parse_options(name: str, given: dict[str, Any]) -> Options:
    """Options of a system, checked.

    Raises:
        UserError: no such system (the nearest name is suggested), an unknown key, or a value out of range.

    Example:
        >>> parse_options("emma", {"fusion": {"steps": 10}}).fusion.batch
        8
    """
    get_system(name)
    try:
        return SYSTEMS[name].options.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        problem = {"extra_forbidden": "unknown key; remove it"}.get(first["type"], first["msg"])
        raise UserError(f"{key}: {problem.removeprefix('Value error, ')}".removeprefix(": ")) from None
