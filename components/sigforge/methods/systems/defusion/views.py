"""DeFusion's images to learn from: two views of one picture, each with parts lost in noise.

Liang, Jiang, Liu & Ma, "Fusion from Decomposition", ECCV 2022; Eq. (1) of DeFusion++. Differs from the authors: the
images are crops of this project's own size, flipped, not resized; saturation is no matter of a luma.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from sigforge.core.seeds import SeedNames, rng_of, seed_of
from sigforge.methods.systems.training import Material
from sigforge.training.config import TrainConfig

COARSE, FINE = 13, (26, 27)


@dataclass(frozen=True)
class Masked:
    """Views of a batch of images and what they were made from.

    Args:
        clean: (B, 1, H, W) in [0, 1].
        views: (2, B, C, H, W): ``clean`` where the mask is 1, noise elsewhere.
        masks: (2, B, 1, H, W) of 0 and 1; at least one of both is 1 everywhere.
        step: of the training.
        seed: for what the training itself draws at this step.
    """

    clean: Tensor
    views: Tensor
    masks: Tensor
    step: int
    seed: int

    def to(self, device: torch.device) -> "Masked":
        """The same batch on ``device``."""
        clean, views, masks = (x.to(device, non_blocking=True) for x in (self.clean, self.views, self.masks))
        return Masked(clean, views, masks, self.step, self.seed)


class MaskedViews(Dataset):
    """Masked views of crops; index = step, and everything is a function of (names, step).

    Args:
        crops: step to planes (n, B, 1, H, W) in [0, 1] and whatever; each of the n sources counts as an image.
        channels: of the views, with noise of their own.
        folded: noise is :math:`|N(0, 1)|` clamped to [0, 1], as in DeFusion's code, instead of plain Gaussian.
        names: what seeds masks, noise and jitter.
    """

    def __init__(self, crops: Dataset, *, channels: int, folded: bool, names: SeedNames) -> None:
        self.crops, self.channels, self.folded, self.names = crops, channels, folded, names

    def __getitem__(self, step: int) -> Masked:
        """The batch of one step; (n B) images."""
        rng = rng_of(*self.names, "views", step)
        clean = jitter(self.crops[step][0].flatten(0, 1), rng)
        masks = torch.stack([cover((clean.shape[-2], clean.shape[-1]), rng) for _ in clean], dim=1)
        drawn = rng.standard_normal((2, len(clean), self.channels, *clean.shape[-2:]), dtype=np.float32)
        noise = torch.from_numpy(np.abs(drawn).clip(0, 1) if self.folded else drawn)
        return Masked(clean, masks * clean + (1 - masks) * noise, masks, step, seed_of(*self.names, "draws", step))


def jitter(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Each of (B, 1, H, W) darkened, then its contrast lowered, by factors from U(0.1, 1)."""
    brightness, contrast = torch.from_numpy(rng.uniform(0.1, 1, (2, len(images), 1, 1, 1)).astype(np.float32))
    dark = brightness * images
    mean = dark.mean((1, 2, 3), keepdim=True)
    return mean + contrast * (dark - mean)


def cover(size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """Two masks (2, 1, H, W) of random cells whose union is everything (Eq. 1).

    Each is the product of a coarse and a fine grid of cells kept at one random rate; where both lose a pixel, a third
    grid decides which of them gets it back.
    """
    keep = 0.1 + rng.uniform() / 1.12

    def cells(side: int) -> Tensor:
        grid = torch.from_numpy((rng.uniform(size=(1, 1, side, side)) < keep).astype(np.float32))
        return F.interpolate(grid, size=size, mode="nearest")[0]

    first, second = (cells(COARSE) * cells(int(rng.choice(FINE))) for _ in range(2))
    lost, owner = (1 - first) * (1 - second), cells(int(rng.choice([COARSE, *FINE])))
    masks = torch.stack([first + lost * owner, second + lost * (1 - owner)])
    return masks.flip(0) if rng.uniform() < 0.5 else masks


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
