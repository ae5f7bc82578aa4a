"""Metrics on Tsallis entropy."""

import math

import torch
from torch import Tensor

from sigforge.metrics.context import MetricContext, joint_frequencies
from sigforge.metrics.information import entropy
from sigforge.metrics.registry import metric

#: Nava's and Cvejic's orders of the entropy.
_NAVA, _CVEJIC = 0.43137, 1.85
_NAVA_PAPER = (
    "Nava, Cristobal & Escalante-Ramirez, Mutual information improves image fusion quality assessments, SPIE 2007"
)
_EQUATION = r"\frac{I^q(A,F) + I^q(B,F)}{H(A)^q + H(B)^q + I^q(A,B)}"


@metric(
    "Q_TE",
    range=(-math.inf, math.inf),
    convention="q = 0.43137; the two marginals exchanged, as in Liu's metricMI; the definition is `q_te_nava`",
    paper=_NAVA_PAPER,
    sources="pair",
    equation=_EQUATION,
)
def q_te(context: MetricContext) -> Tensor:
    """Tsallis mutual information as Liu's toolbox computes it: joint cells (i, j) meet the marginals p_F(i) p_A(j).

    NaN where both sources are constant.
    """
    return _nava(context, exchanged=True)


@metric(
    "Q_TE",
    range=(-math.inf, math.inf),
    convention="q = 0.43137, marginals where they belong; the published code (`q_te`) exchanges them",
    paper=_NAVA_PAPER,
    sources="pair",
    equation=_EQUATION,
    variant_of="q_te",
)
def q_te_nava(context: MetricContext) -> Tensor:
    """Tsallis mutual information with each source, normalised. NaN where both sources are constant."""
    return _nava(context, exchanged=False)


@metric(
    "Q_TE",
    range=(-math.inf, math.inf),
    convention="q = 1.85, not normalised, marginals exchanged (Liu's metricMI, case 2)",
    paper="Cvejic, Canagarajah & Bull, Image fusion metric based on mutual information and Tsallis entropy, "
    "Electronics Letters 42(11), 2006",
    equation=r"I^q(A,F) + I^q(B,F)",
    variant_of="q_te",
)
def q_te_cvejic(context: MetricContext) -> Tensor:
    """Sum of the Tsallis mutual informations with the sources. Zero where the fused image and sources are constant."""
    return _information(context.once(_joint_with_fused), _CVEJIC, exchanged=True).sum(0)


def _nava(context: MetricContext, *, exchanged: bool) -> Tensor:
    shared = _information(context.once(_joint_with_fused), _NAVA, exchanged=exchanged).sum(0)
    between = _information(context.once(_joint_of_sources), _NAVA, exchanged=exchanged)[0]
    total = entropy(context.histograms[:2]).pow(_NAVA).sum(0) + between
    return shared / torch.where(total == 0, math.nan, total)


def _information(joint: Tensor, order: float, *, exchanged: bool) -> Tensor:
    """Tsallis mutual information of joint frequencies (N, B, 256, 256), as (N, B)."""
    rows, columns = joint.sum(-1), joint.sum(-2)
    product = (columns[..., :, None] * rows[..., None, :]) if exchanged else rows[..., :, None] * columns[..., None, :]
    # Empty products are skipped, also where the exchange gives them to a cell that is not empty.
    power = torch.where(product == 0, 0.0, joint.pow(order) * product.pow(1 - order))
    return (1 - power.sum((-2, -1))) / (1 - order)


def _joint_with_fused(context: MetricContext) -> Tensor:
    levels = context.stretched.long()
    return joint_frequencies(levels[:-1], levels[-1])


def _joint_of_sources(context: MetricContext) -> Tensor:
    levels = context.stretched[:2].long()
    return joint_frequencies(levels[:1], levels[1])
