"""Metrics on grey-level histograms, in bits."""

import math

import torch
from torch import Tensor

from components.metrics.context import Context
from components.metrics.registry import metric


@metric(
    "MI",
    range=(0.0, 16.0),
    convention="sum over the two sources, bits, 256 bins, no saturation (Tang's value without its 254/255 bug)",
    paper="Qu, Zhang & Yan, Information measure for performance of image fusion, Electronics Letters 38(7), 2002",
    equation=r"I(A;F) + I(B;F),\quad I(X;F) = H(X) + H(F) - H(X,F)",
)
def mi(context: Context) -> Tensor:
    """Mutual information between each source and the fused image, summed. Zero where the fused image is constant.

    Example:
        >>> from components.metrics import score
        >>> halves = torch.tensor([0.0, 1.0]).expand(1, 1, 8, 2)
        >>> score(halves, halves, halves, ["mi"])["mi"].item()
        2.0
    """
    separate = _entropy(context.histograms)
    joint = _entropy(context.joint_histograms.flatten(2))
    return (separate[:2] + separate[2] - joint).sum(0)


@metric(
    "EN",
    range=(0.0, 8.0),
    convention="Shannon entropy of the 256-bin histogram, bits",
    paper="Roberts, van Aardt & Ahmed, Assessment of image fusion procedures, J. Applied Remote Sensing 2, 2008",
    equation=r"-\sum_{l=0}^{255} p_l \log_2 p_l",
)
def en(context: Context) -> Tensor:
    """Entropy of the fused image. Zero on a constant image."""
    return _entropy(context.histograms[2])


def _entropy(frequencies: Tensor) -> Tensor:
    """Shannon entropy along the last axis, in bits."""
    return torch.special.entr(frequencies).sum(-1) / math.log(2)
