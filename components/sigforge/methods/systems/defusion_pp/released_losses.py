"""The objectives of DeFusion++'s authors: their weights, SSIM, one order of the common tokens, the same masked places.

Means over the batch where theirs are sums, which Adam does not feel. Their teachers are ViT-B networks that were never
public; :func:`frozen_tokens` makes ours of a network that has learned the single-modal tasks.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.core.errors import UserError
from sigforge.core.seeds import seed_of
from sigforge.losses.fusion import ssim
from sigforge.methods.systems.defusion.losses import masked_l1, regions
from sigforge.methods.systems.defusion.views import Masked
from sigforge.methods.systems.defusion_pp.losses import Pairs
from sigforge.methods.systems.defusion_pp.network import GRID, Grid, grid_of
from sigforge.methods.systems.defusion_pp.released import ReleasedDeFusionPP, TeacherHeads, TokenEncoder

WEIGHTS = {"common": 20.0, "unique": 10.0, "masked": 2.0, "fused": 100.0, "ssim": 50.0}
"""Of stage CUD; ``masked`` counts twice, once for each image that it is said to restore."""

KEEP = 0.25
"""Part of the places that the masked branch sees."""


class ReleasedTraining(nn.Module):
    """The network, and what only its training needs: frozen teachers and the heads that follow them.

    Args:
        net: what is trained and kept.
        teachers: an encoder for each modality, in the order of the pairs; none if all training is single-modal.
    """

    def __init__(self, net: ReleasedDeFusionPP, teachers: Sequence[TokenEncoder] = ()) -> None:
        super().__init__()
        self.net = net
        self.teachers = nn.ModuleList(teacher.requires_grad_(False) for teacher in teachers)
        seen = tuple(teacher.class_token.shape[-1] for teacher in teachers)
        self.heads = TeacherHeads(net.mask_token.numel(), seen) if len(seen) == 2 else None

    def train(self, mode: bool = True) -> "ReleasedTraining":
        """Everything but the teachers, which leave nothing out."""
        super().train(mode)
        self.teachers.eval()
        return self


def frozen_tokens(net: ReleasedDeFusionPP) -> TokenEncoder:
    """A frozen copy of the network's encoder as it is now, to serve as a teacher."""
    return copy.deepcopy(net.encoder).requires_grad_(False)


def released_losses(training: ReleasedTraining) -> Callable[[Masked | Pairs], dict[str, Tensor]]:
    """Batch to the loss of stage CUD (masked views) or MCUD (pairs of two modalities), and its unweighted terms."""

    def losses(batch: Masked | Pairs) -> dict[str, Tensor]:
        device = next(training.parameters()).device
        if isinstance(batch, Masked):
            with drawing(batch.seed, device):
                terms = single_modal(training.net, batch.to(device))
            return {"loss": torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum(), **terms}
        planes, indices = batch
        with drawing(seed_of("defusion_pp pairs", *indices.flatten().tolist()), device):
            terms = multi_modal(training, planes.to(device, non_blocking=True))
        return {"loss": terms["agreement"] + terms["modality"], **terms}

    return losses


def single_modal(net: ReleasedDeFusionPP, batch: Masked) -> dict[str, Tensor]:
    """The terms of stage CUD, unweighted.

    Args:
        net: what is trained.
        batch: two masked views of clean images, and the masks.

    Returns:
        ``common``, ``unique``, ``fused``, ``ssim`` and ``masked``, each a scalar.
    """
    grid, channels = grid_of(batch.views), net.encoder.embed.in_channels
    clean, (common, unique_a, unique_b) = batch.clean.expand(-1, channels, -1, -1), regions(batch.masks)
    views, corner = batch.views.expand(-1, -1, channels, -1, -1), somewhere(grid)
    features = net.decompose(views, b_first=bool(torch.rand(()) < 0.5), corner=corner)
    parts, fused = net.part_images(features, grid), net.fused_image(features, grid)
    places = torch.rand(len(clean), grid[0] * grid[1]).argsort(-1)[:, : max(1, round(KEEP * grid[0] * grid[1]))]
    masked = net.masked_image(features, grid, places.to(clean.device), corner=corner)
    return {
        "common": masked_l1(parts[0], clean, common),
        "unique": masked_l1(parts[1], clean, unique_a) + masked_l1(parts[2], clean, unique_b),
        "fused": (fused - clean).abs().mean(),
        "ssim": (1 - ssim(fused.flatten(0, 1)[:, None], clean.flatten(0, 1)[:, None])) / 2,
        "masked": (masked - clean).abs().mean(),
    }


def multi_modal(training: ReleasedTraining, sources: Tensor) -> dict[str, Tensor]:
    """The terms of stage MCUD: both orders of the common tokens agree, and unique tokens tell what a teacher sees.

    Args:
        training: network, teachers and heads.
        sources: (2, B, 1, H, W) in [0, 1].

    Raises:
        UserError: there is no teacher for each of both modalities.
    """
    if training.heads is None:
        raise UserError(f"teachers: pairs need one of each modality and there are {len(training.teachers)}; give 2")
    channels = training.net.encoder.embed.in_channels
    images = sources.expand(-1, -1, channels, -1, -1)
    predictions, commons = training.heads(training.net, images)
    with torch.no_grad():
        seen = [teacher(image)[-1] for teacher, image in zip(training.teachers, images, strict=True)]
    distances = [F.l1_loss(*pair) for pair in zip(predictions, seen, strict=True)]
    return {"agreement": F.l1_loss(*commons), "modality": torch.stack(distances).sum()}


def somewhere(grid: Grid) -> Grid:
    """A corner for a grid that is smaller than the authors', so that every position is learned, not the first alone."""
    rows, columns = (int(torch.randint(max(1, GRID - side + 1), ())) for side in grid)
    return rows, columns


@contextmanager
def drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Coins, masks and dropout inside follow from ``seed`` alone, so that a resumed run draws what it would have."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
