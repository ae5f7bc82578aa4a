"""Training the fusion network, on synthetic pairs (SigFusion, Eq. 1) and on real ones (Eq. 16)."""

from collections.abc import Callable

import torch
from torch import Tensor

from sigforge.losses.fusion import fusion_terms, task_weights, weighted
from sigforge.methods.sigfusion.fusion import FusionNet


def fusion_losses(net: FusionNet, task: str, target: str) -> Callable[[tuple[Tensor, Tensor]], dict[str, Tensor]]:
    """Batch (planes (2, B, 1, H, W), indices) to the task's loss and its terms; the sources are the pseudo-labels.

    Args:
        target: of the intensity term, see :func:`sigforge.losses.fusion.fusion_terms`; ``mef`` only.
    """
    weights = task_weights(task)
    target = target if task == "mef" else "max"

    def losses(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        sources = batch[0].to(next(net.parameters()).device, non_blocking=True)
        fused = net(sources)
        # Local variances cancel; in bfloat16 nothing of them would be left.
        with torch.autocast(fused.device.type, enabled=False):
            terms = fusion_terms(fused.float(), *sources, target=target)
        return {"loss": weighted(terms, weights), **{name: terms[name] for name in weights}}

    return losses
