"""Training EMMA: first the sensing networks on fused corpora, then, with these frozen, U-Fuser (Eq. 6).

Zhao et al., CVPR 2024, section 3.3. Two runs of :func:`sigforge.training.loop.fit`, the first over :class:`Sensing`
with :func:`sensing_losses`, the second over :class:`UFuser` with :func:`emma_losses` and :class:`EquivariantBatches`.
"""

from collections.abc import Callable, Iterator, Sequence

import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of
from sigforge.methods.systems.emma.losses import (
    ALPHA_1,
    ALPHA_2,
    QUARTER_TURNS,
    SHIFTS,
    Transform,
    draw_transforms,
    emma_terms,
    emma_total,
)
from sigforge.methods.systems.emma.network import KIND, SENSING_KIND, Sensing, UFuser
from sigforge.methods.systems.emma.options import EmmaOptions
from sigforge.methods.systems.registry import system
from sigforge.methods.systems.training import Material
from sigforge.training.crops import CropBatches
from sigforge.training.run import TrainingRun

Losses = dict[str, Tensor]


class EquivariantBatches(Dataset):
    """The batches of ``crops``, each with its step's transformations, which like the crops depend on seed and step
    alone.

    Args:
        crops: of pairs; the side a multiple of 16, which the sensing networks need.
        shifts, degrees: see :func:`sigforge.methods.systems.emma.losses.draw_transforms`.

    Raises:
        UserError: the crops have another side.
    """

    def __init__(self, crops: CropBatches, *, shifts: int = SHIFTS, degrees: Sequence[float] = QUARTER_TURNS) -> None:
        check_crop(crops.crop)
        self.crops, self.shifts, self.degrees = crops, shifts, degrees

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, tuple[Transform, ...]]:
        """Planes (2, B, 1, crop, crop), sample indices (B,), transformations."""
        rng = rng_of(*self.crops.names, "transforms", step)
        return (*self.crops[step], draw_transforms(rng, self.crops.crop, shifts=self.shifts, degrees=self.degrees))


def check_crop(side: int) -> None:
    """Refuse crops that the sensing networks cannot halve four times.

    Raises:
        UserError: ``side`` is not a multiple of 16.
    """
    if side % Sensing.multiple:
        raise UserError(f"emma: 'crop' is {side}; choose a multiple of {Sensing.multiple}")


def sensing_losses(sensing: Sensing) -> Callable[[tuple[Tensor, Tensor]], Losses]:
    """Batch (planes (3, B, 1, H, W): fused by some method, a, b; indices) to the squared error of both networks.

    The two share no parameters, so their sum trains each as alone (but for the common clip of the gradient's norm).
    """

    def losses(batch: tuple[Tensor, Tensor]) -> Losses:
        fused, *sources = batch[0].to(next(sensing.parameters()).device, non_blocking=True)
        sensed = sensing(fused).float()
        terms = {name: F.mse_loss(x, source) for name, x, source in zip("ab", sensed, sources, strict=True)}
        return {"loss": terms["a"] + terms["b"], **terms}

    return losses


def emma_losses(
    fuser: UFuser, sensing: Sensing, *, alpha_1: float = ALPHA_1, alpha_2: float = ALPHA_2
) -> Callable[[tuple[Tensor, Tensor, Sequence[Transform]]], Losses]:
    """Batch of :class:`EquivariantBatches` to Eq. (6) and its terms; ``sensing`` is frozen and stays so.

    Args:
        fuser: what is trained.
        sensing: trained before; frozen here.
        alpha_1: weight of the second source's sensing term.
        alpha_2: weight of the equivariance term.
    """
    sensing.freeze()

    def losses(batch: tuple[Tensor, Tensor, Sequence[Transform]]) -> Losses:
        device = next(fuser.parameters()).device
        sources, transforms = batch[0].to(device, non_blocking=True), batch[2]
        terms = emma_terms(fuser, sensing.to(device), sources, transforms)
        return {"loss": emma_total(terms, alpha_1=alpha_1, alpha_2=alpha_2), **terms}

    return losses


@system("emma", options=EmmaOptions, corpora=True)
def train_emma(options: EmmaOptions, data: Material) -> Iterator[TrainingRun]:
    """The sensing networks, which look at the fused corpora; then, with these frozen, U-Fuser."""
    facts = (SENSING_KIND, options.senses.model_dump(mode="json"))
    sensing = data.begin(Sensing(options.senses), *facts, "sensing")
    if data.fused is None:
        raise UserError("emma: learns from fused images and there are none; run stage 'fuse' first")
    corpora = CropBatches(data.fused.load, data.fused.count, **data.options(options.sensing, "sensing"))
    yield TrainingRun(sensing, corpora, sensing_losses(sensing), options.sensing, *facts, part="sensing")
    facts = (KIND, options.network.model_dump(mode="json"))
    fuser = data.begin(UFuser(options.network), *facts)
    losses = emma_losses(fuser, sensing, alpha_1=options.alpha_1, alpha_2=options.alpha_2)
    pairs = EquivariantBatches(data.crops(options.fusion, "fusion"))
    yield TrainingRun(fuser, pairs, losses, options.fusion, *facts)
