"""Metrics on grey-level histograms."""

import math

import torch
from torch import Tensor

from sigforge.metrics.context import MetricContext, joint_frequencies
from sigforge.metrics.registry import metric

_QU = "Qu, Zhang & Yan, Information measure for performance of image fusion, Electronics Letters 38(7), 2002"
_MI = r"I(A;F) + I(B;F),\quad I(X;F) = H(X) + H(F) - H(X,F)"


@metric(
    "MI",
    range=(0.0, 16.0),
    convention="sum over the two sources, bits, 256 bins, no saturation (Tang's value without its 254/255 bug)",
    paper=_QU,
    equation=_MI,
)
def mi(context: MetricContext) -> Tensor:
    """Mutual information between each source and the fused image, summed. Zero where the fused image is constant.

    Example:
        >>> from sigforge.metrics import score
        >>> halves = torch.tensor([0.0, 1.0]).expand(1, 1, 8, 2)
        >>> score(halves, halves, halves, metrics="mi")["mi"].item()
        2.0
    """
    return context.once(mi_by_source).sum(0)


@metric(
    "MI",
    range=(0.0, 16 * math.log(2)),
    convention="sum over the two sources, nats (CDDFuse by way of scikit-learn, VIFB)",
    paper=_QU,
    equation=_MI,
    variant_of="mi",
)
def mi_nats(context: MetricContext) -> Tensor:
    """``mi`` in nats: 0.693 times the number in bits. Zero where the fused image is constant."""
    return mi(context) * math.log(2)


@metric(
    "MI",
    range=(0.0, 18.0),
    convention="Tang's MI_evaluation: levels 254 and 255 share a joint bin by uint8 saturation, so bright pixels add",
    paper=_QU,
    equation=_MI,
    variant_of="mi",
)
def mi_tang(context: MetricContext) -> Tensor:
    """``mi`` with the published code's overflow; more than zero where a constant image is as bright as a source."""
    joint = context.joint_histograms.clone()
    joint[..., 254, :] += joint[..., 255, :]
    joint[..., :, 254] += joint[..., :, 255]
    merged = entropy(joint[..., :255, :255].flatten(2))
    separate = context.once(_entropies)
    return (separate[:-1] + separate[-1] - merged).sum(0)


@metric(
    "Q_MI",
    range=(0.0, 2.0),
    convention="normalised MI (NMI), base 2 (Liu's metricMI; his stretch to 0..255 merges no levels)",
    paper="Hossny, Nahavandi & Creighton, Comments on 'Information measure for performance of image fusion', "
    "Electronics Letters 44(18), 2008",
    equation=r"2 \left[ \frac{I(A;F)}{H(A) + H(F)} + \frac{I(B;F)}{H(B) + H(F)} \right]",
)
def q_mi(context: MetricContext) -> Tensor:
    """Mutual information with each source, each divided by the mean entropy of its pair. 2 where all are equal.

    NaN where the fused image and a source are both constant.
    """
    separate = context.once(_entropies)
    return 2 * (context.once(mi_by_source) / (separate[:-1] + separate[-1])).sum(0)


@metric(
    "Q_NCIE",
    range=(0.0, 1.0),
    convention="entropies in base 256 (Liu's metricWang, which is not Q_M); 0.80..0.85 in practice",
    paper="Wang, Shen & Jin, Performance evaluation of image fusion techniques, in Stathaki (ed.), Image Fusion, 2008",
    equation=r"1 + \sum_{i=1}^{3} \tfrac{\lambda_i}{3} \log_{256} \tfrac{\lambda_i}{3}",
)
def q_ncie(context: MetricContext) -> Tensor:
    """Nonlinear correlation information entropy of sources and fused image; 0.80188 where they share nothing.

    That is also its value on constant images. With n sources the matrix has n + 1 rows.
    """
    count = len(context.planes)
    matrix = torch.eye(count, dtype=torch.float64, device=context.planes.device)
    matrix = matrix.expand(context.planes.shape[1], -1, -1).clone()
    separate = context.once(_entropies)
    for row in range(count):
        for column in range(row):
            joint = joint_frequencies(context.levels[column : column + 1], context.levels[row])[0].flatten(1)
            shared = (separate[row] + separate[column] - entropy(joint)) / 8
            matrix[:, row, column] = matrix[:, column, row] = shared
    shares = torch.linalg.eigvalsh(matrix).clamp_(min=0) / count
    return 1 - entropy(shares) / 8


@metric(
    "EN",
    range=(0.0, 8.0),
    convention="Shannon entropy of the 256-bin histogram, bits",
    paper="Roberts, van Aardt & Ahmed, Assessment of image fusion procedures, J. Applied Remote Sensing 2, 2008",
    equation=r"-\sum_{l=0}^{255} p_l \log_2 p_l",
)
def en(context: MetricContext) -> Tensor:
    """Entropy of the fused image. Zero on a constant image."""
    return context.once(_entropies)[-1]


@metric(
    "CE",
    higher_is_better=False,
    range=(-math.inf, math.inf),
    convention="mean over the sources, bits, levels that the fused image lacks skipped: may be negative (VIFB)",
    paper="Bulanon, Burks & Alchanatis, Image fusion of visible and thermal images for fruit detection, "
    "Biosystems Engineering 103(1), 2009",
    equation=r"\tfrac{1}{2} \sum_{S=A,B} \sum_{l: p^F_l > 0} p^S_l \log_2 (p^S_l / p^F_l)",
)
def ce(context: MetricContext) -> Tensor:
    """Cross entropy of the histograms of each source and the fused image. Zero where they are equal."""
    sources, fused = context.histograms[:-1], context.histograms[-1]
    ratio = torch.where(fused > 0, sources / fused, 1.0)
    return torch.xlogy(sources, ratio).sum(-1).mean(0) / math.log(2)


def entropy(frequencies: Tensor) -> Tensor:
    """Shannon entropy along the last axis, in bits."""
    nats: Tensor = torch.special.entr(frequencies).sum(-1)
    return nats / math.log(2)


def _entropies(context: MetricContext) -> Tensor:
    """Entropy of every plane, (n + 1, B)."""
    return entropy(context.histograms)


def mi_by_source(context: MetricContext) -> Tensor:
    """Mutual information of each source with the fused image in bits, (n, B)."""
    separate = context.once(_entropies)
    return separate[:-1] + separate[-1] - entropy(context.joint_histograms.flatten(2))
