"""DeFusion++'s objectives: decomposition of masked views, masked features, and decomposition of two modalities.

Liang et al., DeFusion++, Eqs. (3), (5) and (7)-(9); all norms are mean absolute differences. The paper's frozen H_fix
are ViT-B, one per modality, trained on data we do not have: ``teachers`` are whatever encoders are given, and
:func:`frozen_encoder` makes them of a network that has learned the single-modal tasks.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.core.errors import UserError
from sigforge.methods.systems.defusion.losses import masked_l1, regions
from sigforge.methods.systems.defusion.views import Masked
from sigforge.methods.systems.defusion_pp.network import DeFusionPP, Features, VitEncoder, grid_of

ALPHA, KEEP = 0.1, 0.5

Pairs = tuple[Tensor, Tensor]
"""What :class:`sigforge.training.crops.CropBatches` gives: planes (2, B, 1, H, W) and indices."""


class DeFusionPPTraining(nn.Module):
    """The network, and what only its training needs: teachers, frozen, and the heads LP of Eq. (7) that follow them.

    Args:
        net: what is trained and kept.
        teachers: an encoder for each modality, in the order of the pairs; none if all training is single-modal.
    """

    def __init__(self, net: DeFusionPP, teachers: Sequence[VitEncoder] = ()) -> None:
        super().__init__()
        self.net = net
        self.teachers = nn.ModuleList(teacher.requires_grad_(False) for teacher in teachers)
        width = net.mask_token.numel()
        self.heads = nn.ModuleList(nn.Linear(2 * width, teacher.norm.normalized_shape[0]) for teacher in teachers)


def frozen_encoder(net: DeFusionPP) -> VitEncoder:
    """A frozen copy of the network's encoder as it is now, to serve as a teacher."""
    return copy.deepcopy(net.encoder).requires_grad_(False)


def defusion_pp_losses(
    training: DeFusionPPTraining, *, alpha: float = ALPHA, keep: float = KEEP
) -> Callable[[Masked | Pairs], dict[str, Tensor]]:
    """Batch to Eq. (9): of masked views decomposition and masked features, of pairs agreement and modality.

    Args:
        training: the network, and its teachers where there are any.
        alpha: weight of the masked features.
        keep: part of the tokens that is sampled from each group.
    """

    def losses(batch: Masked | Pairs) -> dict[str, Tensor]:
        device = next(training.parameters()).device
        if isinstance(batch, Masked):
            terms = single_modal(training.net, batch.to(device), keep)
            return {"loss": sum(terms.values()) + (alpha - 1) * terms["masked"], **terms}
        terms = multi_modal(training, batch[0].to(device, non_blocking=True))
        return {"loss": terms["agreement"] + terms["modality"], **terms}

    return losses


def single_modal(net: DeFusionPP, batch: Masked, keep: float) -> dict[str, Tensor]:
    """The terms of Eqs. (3) and (8), unweighted.

    Args:
        net: what is trained.
        batch: two masked views (B, C, H, W) of clean images, and the masks.
        keep: share of the tokens that the masked term keeps, in (0, 1].

    Returns:
        ``common``, ``unique``, ``fused`` and ``masked``, each a scalar.
    """
    grid, features = grid_of(batch.views), net.decompose(batch.views)
    (common, unique_a, unique_b), clean = regions(batch.masks), batch.clean
    sampled = sample(len(clean), grid[0] * grid[1], keep, batch.seed).to(clean.device)
    return {
        "common": masked_l1(net.show_common(features.common, grid), clean, common),
        "unique": masked_l1(net.show_unique(features.unique_a, grid), clean, unique_a)
        + masked_l1(net.show_unique(features.unique_b, grid), clean, unique_b),
        "fused": (net.show_fused(net.join(features, grid), grid) - clean).abs().mean(),
        "masked": (net.show_sampled(net.join(features, grid, sampled), grid) - clean).abs().mean(),
    }


def multi_modal(training: DeFusionPPTraining, sources: Tensor) -> dict[str, Tensor]:
    """Eqs. (5) and (7): both common features are one, and with a unique feature each tells what a teacher sees.

    Raises:
        UserError: there is no teacher for each of both modalities.
    """
    if len(training.teachers) != len(sources):
        raise UserError(f"teachers: pairs need one of each modality and there are {len(training.teachers)}; give 2")
    channels = training.net.encoder.embed.in_channels
    features = training.net.decompose(sources.expand(-1, -1, channels, -1, -1))
    return {"agreement": F.l1_loss(*features.commons), "modality": _modality(training, features, sources)}


def sample(batch: int, tokens: int, keep: float, seed: int) -> Tensor:
    """Places of the tokens that are sampled from each group, independently (Eq. 8).

    Args:
        batch: images.
        tokens: in each of the three groups.
        keep: share of them, in (0, 1]; one stays at least.
        seed: of the draw.

    Returns:
        (batch, 3, K) indices.

    Example:
        >>> sample(2, 196, 0.5, seed=1).shape
        torch.Size([2, 3, 98])
    """
    scores = torch.rand(batch, 3, tokens, generator=torch.Generator().manual_seed(seed))
    return scores.argsort(-1)[..., : max(1, round(keep * tokens))]


def _modality(training: DeFusionPPTraining, features: Features, sources: Tensor) -> Tensor:
    """Distance of what each unique feature says, together with the common one, to what the source's teacher sees."""
    total = sources.new_zeros(())
    uniques = (features.unique_a, features.unique_b)
    teachers: Any = training.teachers
    for teacher, head, unique, source in zip(teachers, training.heads, uniques, sources, strict=True):
        with torch.no_grad():
            seen = teacher(source.expand(-1, teacher.embed.in_channels, -1, -1))
        total = total + F.l1_loss(head(torch.cat([unique, features.common], dim=-1)), seen)
    return total
