"""What each source alone says of a fused image, and the smaller of both: metrics that a copy of one source cannot win.

The part of a metric for source S is the metric itself where S is the only source. So ``vif_a`` is VIFp(A,F), ``q_g_a``
the plain mean of Q over all pixels (the strength of the edges, which decides between sources in ``q_g``, has nothing to
decide), and ``q_p_a`` the product of the mean correlations with A's own features over the pixels where A has one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.feature_information import fmi_by_source
from sigforge.metrics.fidelity import vif_by_source
from sigforge.metrics.gradient import q_g_by_source
from sigforge.metrics.information import mi_by_source
from sigforge.metrics.multiscale import q_m_by_source
from sigforge.metrics.phase import q_p_by_source
from sigforge.metrics.registry import get_metric, metric
from sigforge.metrics.similarity import ssim_by_source

BySource = Callable[[MetricContext], Tensor]


@dataclass(frozen=True)
class Divided:
    """A metric that has a value for every source.

    Args:
        stem: of the names, e.g. ``vif`` of ``vif_a``, ``vif_b`` and ``vif_min``.
        whole: the metric that these are parts of.
        values: context to values (n, B).
        span: smallest and largest value of one source.
        equation: of the part for a source S.
        undefined: where a part is NaN.
    """

    stem: str
    whole: str
    values: BySource
    span: tuple[float, float]
    equation: str
    undefined: str


DIVIDED = (
    Divided("q_g", "q_g", q_g_by_source, get_metric("q_g").range, r"\overline{Q^{SF}_p}", "nowhere"),
    Divided(
        *("q_m", "q_m", q_m_by_source, (0.0, 3.0)),
        r"\prod_l (\sum_p E^S_l W^S_l / \sum_p W^S_l)^{\alpha_l}",
        "where the source has no detail at some level, and on images below 4x4 pixels",
    ),
    Divided(
        *("q_p", "q_p", q_p_by_source, (-1.0, 1.0)),
        r"P_p P_M P_m,\ P_X = \tfrac{1}{|\Omega_S|} \sum_p \rho^S_X",
        "where the source has no feature or the fused image is constant",
    ),
    Divided("mi", "mi", mi_by_source, (0.0, 8.0), "I(S;F)", "nowhere"),
    Divided(
        *("vif", "vif_sum", vif_by_source, (0.0, math.inf), r"\mathrm{VIFp}(S,F)"),
        "where the source is constant, and with a side below 41 pixels",
    ),
    Divided("ssim", "ssim_sum", ssim_by_source, (-1.0, 1.0), r"\mathrm{SSIM}(S,F)", "with a side below 11 pixels"),
    Divided(
        *("fmi", "fmi_symmetric", fmi_by_source, (-1.0, 1.0), r"\overline{2 I(S;F) / (H(S) + H(F))}"),
        "with a side below 3 pixels",
    ),
)


def _register(divided: Divided) -> None:
    """The three metrics of one division."""
    for place, source in enumerate("ab"):
        _add(
            divided,
            source,
            _one_source(divided, place),
            convention=f"`{divided.whole}` where source {source} is the only one",
            equation=divided.equation.replace("S", source.upper()).replace(f"{source.upper()}SIM", "SSIM"),
            symmetric=False,
        )
    least = rf"\min_{{S=A,B}} {divided.equation}"
    convention = f"the smaller of `{divided.stem}_a` and `{divided.stem}_b`: a copy of one source has that of the other"
    symmetric = get_metric(divided.whole).symmetric
    _add(divided, "min", _least(divided), convention=convention, equation=least, symmetric=symmetric)


def _one_source(divided: Divided, place: int) -> BySource:
    return lambda context: divided.values(context)[place]


def _least(divided: Divided) -> BySource:
    return lambda context: divided.values(context).amin(0)


def _add(divided: Divided, part: str, function: BySource, *, convention: str, equation: str, symmetric: bool) -> None:
    """Give a metric its name, and this module the function under that name, where readers look for it."""
    whole, name = get_metric(divided.whole), f"{divided.stem}_{part}"
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{whole.symbol} of {SAID[part]}. NaN {divided.undefined}."
    symbol = f"{whole.symbol} {part}"
    register = metric(
        symbol,
        range=divided.span,
        convention=convention,
        paper=whole.paper,
        equation=equation,
        symmetric=symmetric,
        ranked=False,
    )
    register(function)
    globals()[name] = function


SAID = {"a": "the first source alone", "b": "the second source alone", "min": "the source that is kept worse"}

for _divided in DIVIDED:
    _register(_divided)
