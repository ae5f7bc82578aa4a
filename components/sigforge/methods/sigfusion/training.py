"""Training the fusion network, on synthetic pairs (SigFusion, Eq. 1) and on real ones (Eq. 16)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sigforge.losses.fusion import FusionLoss
from sigforge.methods.sigfusion.head import Fused
from sigforge.methods.sigfusion.network import FusionNetwork

Explain = Callable[[Tensor], Fused]
Losses = Callable[[tuple[Tensor, Tensor]], dict[str, Tensor]]

GUARD = 10.0
"""Weight of the part of its least share that a candidate lacks: a share of nothing costs more than all of Eq. 2.

Not squared: that let shares of 2 % pass on exposure pairs, since it pulls ever less the nearer a share comes.
"""


@dataclass(frozen=True)
class Supervision:
    """What the fusion network is told, beside how.

    Attributes:
        loss: Eq. (2) or (3) in one of its readings.
        decoded: weight of the same loss on SigFormer's own picture, where a head chooses the result.
        share: least part of the picture, on average over a batch, that the head must take from every candidate. Below
            it a penalty keeps it from collapsing onto one source, or from leaving SigFormer out.
        photograph: the pair's last plane is the photograph that it was made of, and that alone is the label.
    """

    loss: FusionLoss = field(default_factory=FusionLoss)
    decoded: float = 0.5
    share: float = 0.1
    photograph: bool = False


def fusion_losses(net: FusionNetwork, supervision: Supervision) -> Losses:
    """The training loss of a fusion network; the sources are the pseudo-labels, or their photograph the label.

    Args:
        net: which is trained.
        supervision: what it is told.

    Returns:
        Batch (planes (n, B, 1, H, W) in [0, 1], indices) to ``loss`` and its terms; ``decoded`` and ``shortfall`` are
        those of the decoded plane and of the head's shares.
    """
    return explained_losses(net.explain, supervision)


def explained_losses(explain: Explain, supervision: Supervision) -> Losses:
    """The same of anything that explains its fusion, such as a head without SigFormer.

    Args:
        explain: sources (n, B, 1, H, W) to their fusion.
        supervision: what it is told.

    Returns:
        as :func:`fusion_losses`.
    """

    def losses(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        planes = batch[0].to(_device(explain), non_blocking=True)
        sources, labels = (planes[:-1], planes[-1:]) if supervision.photograph else (planes, planes)
        fused = explain(sources)
        # Local variances cancel; in bfloat16 nothing of them would be left.
        with torch.autocast(fused.image.device.type, enabled=False):
            total, terms = supervision.loss(fused.image.float(), labels)
            if fused.weights is not None:
                total, terms = _with_parts(total, terms, fused, labels, supervision)
        return {"loss": total, **terms}

    return losses


def _with_parts(
    total: Tensor, terms: dict[str, Tensor], fused: Fused, labels: Tensor, supervision: Supervision
) -> tuple[Tensor, dict[str, Tensor]]:
    """With the decoded plane judged, too, and the shares watched."""
    weights: Any = fused.weights
    shares = weights.float().mean((1, 2, 3, 4))
    shortfall = ((supervision.share - shares).clamp(min=0) / max(supervision.share, 1e-6)).sum()
    parts = {"shortfall": shortfall}
    total = total + GUARD * shortfall
    if fused.decoded is not None and supervision.decoded:
        parts["decoded"] = supervision.loss(fused.decoded.float(), labels)[0]
        total = total + supervision.decoded * parts["decoded"]
    return total, terms | parts


def _device(explain: Explain) -> torch.device:
    owner: Any = getattr(explain, "__self__", explain)
    device: torch.device = next(owner.parameters()).device
    return device
