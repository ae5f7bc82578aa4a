"""The scores behind the means: how every method's scores spread over the images, one panel per metric."""

import io
import math
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from sigforge.core.errors import UserError
from sigforge.core.files import write_atomic
from sigforge.metrics import Metric

FORMATS = (".svg", ".png")
COLORS = ("#d9652a", "#2f86c9", "#1f9b78", "#a06cc8", "#8a8a8a")
COLUMNS = 3
DOTS = 300
"""Images per method that are drawn one by one; the box is of all."""

STYLE: dict[Any, Any] = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "distributions", "axes.linewidth": 0.6}


def check_format(path: Path) -> None:
    """Raise a UserError unless the name ends in a format that can be drawn."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: no format for a plot: end its name in {' or '.join(FORMATS)}")


def write_plot(path: Path, values: np.ndarray, methods: Sequence[str], metrics: Sequence[Metric]) -> None:
    """Draw a box (quartiles, median, whiskers from 5 to 95 %) and the single images per method and metric.

    The same scores give the same bytes.

    Args:
        path: ends in ``.svg`` or ``.png``.
        values: (P, M, K) scores; what is not finite is not drawn.
        methods: M names.
        metrics: K of them.

    Raises:
        UserError: another extension, or the file cannot be written.
    """
    check_format(path)
    with matplotlib.rc_context(STYLE):
        rows, columns = math.ceil(len(metrics) / COLUMNS), min(COLUMNS, len(metrics))
        height = 0.9 + 0.28 * len(methods)
        figure = Figure(figsize=(3.6 * columns, height * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axes in panels[len(metrics) :]:
            axes.set_visible(False)
        for k, (axes, metric) in enumerate(zip(panels, metrics, strict=False)):
            _panel(axes, values[:, :, k], methods, metric)
        write_atomic(path, _encode(figure, path.suffix.lower()))


def _panel(axes: Axes, values: np.ndarray, methods: Sequence[str], metric: Metric) -> None:
    finite = [column[np.isfinite(column)] for column in values.T]
    random = np.random.default_rng(0)
    for place, (scores, color) in enumerate(zip(finite, cycle(COLORS), strict=False)):
        shown = scores if len(scores) <= DOTS else random.choice(scores, DOTS, replace=False)
        height = place + random.uniform(-0.18, 0.18, len(shown))
        axes.plot(shown, height, ".", color=color, markersize=4, alpha=0.5, markeredgewidth=0)
    places, lines = range(len(methods)), {"color": "black", "linewidth": 0.8}
    style: dict[str, Any] = {f"{part}props": lines for part in ("box", "whisker", "cap", "median")}
    shape: dict[str, Any] = {"widths": 0.5, "whis": (5, 95), "showfliers": False, "orientation": "horizontal"}
    axes.boxplot(finite, positions=places, **shape, **style)
    axes.set_yticks(places, [method.replace("$", r"\$") for method in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_title(f"{metric.symbol} {metric.arrow}  ({metric.name})", loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.2, linewidth=0.5)


def _encode(figure: Figure, suffix: str) -> bytes:
    if suffix == ".png":
        data = io.BytesIO()
        FigureCanvasAgg(figure).print_figure(data, format="png", dpi=150, metadata={"Software": None})
        return data.getvalue()
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata=dict.fromkeys(("Date", "Creator")))
    return text.getvalue().encode()
