"""DeFusion's objective: two masked views of one image are split into what both show and what only one shows.

Liang, Jiang, Liu & Ma, "Fusion from Decomposition", ECCV 2022; Eq. (3) of DeFusion++. Differs from the authors: losses
are means over the batch, which Adam does not feel; the milestones of :func:`anneal` are fractions of the run.
"""

from collections.abc import Callable

from torch import Tensor

from sigforge.methods.systems.defusion.network import DeFusion
from sigforge.methods.systems.defusion.views import Masked

AUTHORS_STEPS = 637_500
"""51 epochs of 50 000 images in batches of 4."""


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
        >>> import torch
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
