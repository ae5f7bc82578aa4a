"""DeFusion's pretext task: two views of one image, each with parts lost in noise, are split into common and unique.

Liang, Jiang, Liu & Ma, "Fusion from Decomposition", ECCV 2022; Eqs. (1) and (3) of DeFusion++. Differs from the
authors: the images are crops of this project's own size, flipped, not resized; saturation is no matter of a luma;
losses are means over the batch, which Adam does not feel; the milestones of :func:`anneal` are fractions of the run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from sigforge.core.seeds import rng_of, seed_of
from sigforge.methods.systems.defusion.network import DeFusion

COARSE, FINE = 13, (26, 27)
AUTHORS_STEPS = 637_500
"""51 epochs of 50 000 images in batches of 4."""


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
        tensors = (x.to(device, non_blocking=True) for x in (self.clean, self.views, self.masks))
        return Masked(*tensors, self.step, self.seed)


class MaskedViews(Dataset):
    """Masked views of crops; index = step, and everything is a function of (names, step).

    Args:
        crops: step to planes (n, B, 1, H, W) in [0, 1] and whatever; each of the n sources counts as an image.
        channels: of the views, with noise of their own.
        folded: noise is :math:`|N(0, 1)|` clamped to [0, 1], as in DeFusion's code, instead of plain Gaussian.
        names: what seeds masks, noise and jitter.
    """

    def __init__(self, crops: Dataset, *, channels: int, folded: bool, names: Sequence[object]) -> None:
        self.crops, self.channels, self.folded, self.names = crops, channels, folded, names

    def __getitem__(self, step: int) -> Masked:
        """The batch of one step; (n B) images."""
        rng = rng_of(*self.names, "views", step)
        clean = jitter(self.crops[step][0].flatten(0, 1), rng)
        masks = torch.stack([cover(clean.shape[-2:], rng) for _ in clean], dim=1)
        noise = rng.standard_normal((2, len(clean), self.channels, *clean.shape[-2:]), dtype=np.float32)
        noise = torch.from_numpy(np.abs(noise).clip(0, 1) if self.folded else noise)
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


def defusion_losses(net: DeFusion, *, steps: int) -> Callable[[Masked], dict[str, Tensor]]:
    """Batch to the loss of the pretext task and its terms ``common``, ``unique`` and ``fused``.

    Args:
        steps: length of the training, which the weights of :func:`anneal` follow.
    """

    def losses(batch: Masked) -> dict[str, Tensor]:
        batch = batch.to(next(net.parameters()).device)
        parts, outside, whole = net(batch.views), *anneal(batch.step, steps)
        (common, unique_a, unique_b), clean = regions(batch.masks), batch.clean
        terms = {
            "common": masked_l1(parts.common, clean, common, outside),
            "unique": masked_l1(parts.unique_a, clean, unique_a, outside)
            + masked_l1(parts.unique_b, clean, unique_b, outside),
            "fused": (parts.fused - clean).abs().mean(),
        }
        return {"loss": terms["common"] + terms["unique"] + whole * terms["fused"], **terms}

    return losses


def regions(masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where both views show the image, only the first, only the second; (2, B, 1, H, W) to three (B, 1, H, W)."""
    first, second = masks
    return first * second, first * (1 - second), (1 - first) * second


def masked_l1(image: Tensor, clean: Tensor, region: Tensor, outside: float = 1.0) -> Tensor:
    """Mean distance to ``clean`` inside a region and to zero outside it.

    Args:
        image: (B, C, H, W) that a network showed.
        clean: (B, C, H, W) in [0, 1], what belongs there.
        region: (B, 1, H, W), 1 inside and 0 outside.
        outside: weight of the pixels outside.

    Example:
        >>> half = torch.tensor([1.0, 0.0])
        >>> float(masked_l1(torch.ones(2), torch.ones(2), half)), float(masked_l1(half, torch.ones(2), half))
        (0.5, 0.0)
    """
    return ((region + outside * (1 - region)) * (image - region * clean).abs()).mean()


def anneal(step: int, steps: int) -> tuple[float, float]:
    """Weights of what a part shows outside its region, and of the fused image; the authors' milestones, scaled.

    Example:
        >>> anneal(0, 637_500), anneal(24_000, 637_500)
        ((0.0, 0.0), (0.15, 1.0))
    """
    t = step * AUTHORS_STEPS / steps
    outside = 0.0 if t < 3000 else 0.15 * (min(t, 7000) / 7000) ** 2
    whole = 0.0 if t < 17_000 else (min(t - 10_000, 14_000) / 14_000) ** 2
    return outside * (0.1 if t > 40_000 else 1.0), whole
