"""Training SSPFusion: first the extractor of structure alone, then the fusion network around a copy of it (Eq. 9).

Yang et al., SSPFusion, sections 3.3 and 4.1. The paper names two stages and leaves their division open. Ours: in the
first the extractor's decoder learns the structure of its encoder's features (Eq. 3) and of the image (Eq. 10); in the
second these features, of the extractor as it then is, are the ground truth, and everything else is trained by Eq. (9).
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sigforge.methods.systems.registry import system
from sigforge.methods.systems.sspfusion.losses import (
    ALPHA,
    BETA,
    charbonnier,
    fused_terms,
    structure_loss,
    structure_target,
)
from sigforge.methods.systems.sspfusion.network import EXTRACTOR_KIND, KIND, Extractor, SSPFusion, Structures
from sigforge.methods.systems.sspfusion.options import SspOptions
from sigforge.methods.systems.training import Material
from sigforge.training.run import TrainingRun

Losses = dict[str, Tensor]
Pairs = tuple[Tensor, Tensor]
"""What :class:`sigforge.training.crops.CropBatches` gives: planes (2, B, 1, H, W) and indices."""


def extractor_losses(extractor: Extractor, *, alpha: float = ALPHA, beta: float = BETA) -> Callable[[Pairs], Losses]:
    """The losses of the first stage, both sources alike.

    Args:
        extractor: what is trained.
        alpha: weight of ``structure``, Eq. (3).
        beta: weight of ``rebuilding``, Eq. (10).

    Returns:
        a function from a batch to ``loss``, ``structure`` and ``rebuilding``, each a scalar.
    """

    def losses(batch: Pairs) -> Losses:
        images = batch[0].to(next(extractor.parameters()).device, non_blocking=True).flatten(0, 1)
        found = extractor(images)
        terms = structure_terms(found, found.features, images)
        return {"loss": alpha * terms["structure"] + beta * terms["rebuilding"], **terms}

    return losses


def sspfusion_losses(
    net: SSPFusion, extractor: Extractor, *, alpha: float = ALPHA, beta: float = BETA
) -> Callable[[Pairs], Losses]:
    """Batch to Eq. (9) and its terms; ``extractor`` is frozen and stays so.

    Args:
        net: what is trained.
        extractor: of the first stage; its features are the ground truth of structure.
        alpha, beta: weights of the structure and the rebuilding term.
    """
    extractor.requires_grad_(False).eval()

    def losses(batch: Pairs) -> Losses:
        sources = batch[0].to(next(net.parameters()).device, non_blocking=True)
        images = sources.flatten(0, 1)
        with torch.no_grad():
            features = extractor.to(sources.device).encode(images)
        fused, found = net(sources)
        # Local variances cancel; in bfloat16 nothing of them would be left.
        with torch.autocast(fused.device.type, enabled=False):
            terms = structure_terms(found, features, images) | fused_terms(fused.float(), *sources)
        total = (
            alpha * terms["structure"] + beta * terms["rebuilding"] + terms["ssim"] + terms["smooth"] + terms["grad"]
        )
        return {"loss": total, **terms}

    return losses


def structure_terms(found: Structures, features: tuple[Tensor, ...], images: Tensor) -> Losses:
    """Eqs. (3) and (10): predicted structures against those that are there.

    Args:
        found: maps of every level, and the one of the whole image.
        features: (B, C, h, w) of every level, whose edges Eq. (3) asks for.
        images: (B, 1, H, W) in [0, 1], whose edges Eq. (10) asks for.

    Returns:
        ``structure`` and ``rebuilding``, each a scalar.
    """
    targets = [structure_target(level) for level in features]
    return {
        "structure": structure_loss([level.float() for level in found.maps], targets),
        "rebuilding": charbonnier(found.whole.float(), structure_target(images)),
    }


@system("sspfusion", options=SspOptions)
def train_sspfusion(options: SspOptions, data: Material) -> Iterator[TrainingRun]:
    """The extractor of structure; then the fusion network around a copy of it."""
    facts, weights = options.network.model_dump(mode="json"), {"alpha": options.alpha, "beta": options.beta}
    extractor = data.begin(Extractor(options.network), EXTRACTOR_KIND, facts, "structure")
    crops, losses = data.crops(options.structure, "structure"), extractor_losses(extractor, **weights)
    yield TrainingRun(extractor, crops, losses, options.structure, EXTRACTOR_KIND, facts, part="structure")
    net = data.begin(SSPFusion(options.network), KIND, facts).start_from(extractor)
    crops, losses = data.crops(options.fusion, "fusion"), sspfusion_losses(net, extractor, **weights)
    yield TrainingRun(net, crops, losses, options.fusion, KIND, facts)
