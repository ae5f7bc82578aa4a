"""Line plots of the report as inline SVG that takes its ink from the page, so it reads in light and in dark.

The same data give the same bytes: no date, and ids from a fixed salt (one per figure, so that no two share any).
"""

import io
import re
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sigforge.evaluation.realism.compare import COLUMNS, RealismComparison
from sigforge.report.signals import KINDS, ModalitySignals, SignalCurves
from sigforge.training.loop import HistoryRow

INK = "#010203"
"""Stands for the page's text colour until the SVG is written."""

EXTRAS = re.compile(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)

# Hues after Okabe and Ito, shaded to 3:1 on white and on black; dashes and markers tell them apart in print as well.
GREY, ORANGE, BLUE, PURPLE, GREEN = "#8a8a8a", "#d9652a", "#2f86c9", "#a06cc8", "#1f9b78"
KIND_STYLES = ((GREY, (0, (2, 1)), "o"), (ORANGE, "solid", "s"), (BLUE, (0, (5, 1.5)), "^"))
LINE_STYLES = (
    (BLUE, "solid"),
    (ORANGE, (0, (5, 1.5))),
    (GREEN, (0, (2, 1))),
    (PURPLE, (0, (4, 1, 1, 1))),
    (GREY, (0, (1, 1))),
)

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "DejaVu Sans"],
    "font.size": 9,
    "svg.fonttype": "none",
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


LEGEND_LINE = 0.16
"""Inches; the legend stands beside its panel and must not be taller."""


def curves_figure(panels: Sequence[tuple[str, Sequence[HistoryRow]]], name: str) -> str:
    """Training losses over steps, one panel per (title, history); validation rows are left out.

    Args:
        name: salt of the figure's ids.
    """
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        longest = max(len({row.name for row in history}) for _, history in panels)
        figure = Figure(figsize=(3.7 * len(panels), max(2.1, LEGEND_LINE * longest)), layout="constrained")
        for axes, (title, history) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _history(axes, title, history)
        return _svg(figure)


def signals_figure(measured: ModalitySignals, name: str) -> str:
    """Fig. 6 for one modality: low and first high subband of one example, and the strength of every subband."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(9.6, 2.4), layout="constrained")
        *panels, strengths = figure.subplots(1, 3, width_ratios=(1.25, 1.25, 1))
        for axes, curves in zip(panels, measured.curves, strict=True):
            _signal(axes, curves)
        _strength(strengths, measured)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return _svg(figure)


def spectra_figure(found: Mapping[str, RealismComparison], name: str, *, target: str = "real") -> str:
    """Power spectra of photographs, synthetic and real images, median and quartiles of crops; a panel per modality.

    Args:
        found: comparisons by modality, a panel each.
        name: of the figure; it seeds the ids in the SVG.
        target: what the legend calls the real images, for they may be simulated.
    """
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(9.6, 2.4), layout="constrained")
        panels = figure.subplots(1, max(2, len(found)), sharey=True)
        for axes in panels[len(found) :]:
            axes.set_visible(False)
        for axes, (modality, one) in zip(panels, found.items(), strict=False):
            _spectra(axes, modality, one, COLUMNS | {"real": target})
        panels[0].set_ylabel("power, dB")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return _svg(figure)


def _history(axes: Axes, title: str, history: Sequence[HistoryRow]) -> None:
    names = [name for name in dict.fromkeys(row.name for row in history) if not name.startswith("val_")]
    for name, (color, dashes) in zip(names, cycle(LINE_STYLES), strict=False):
        points = [(row.step, row.value) for row in history if row.name == name]
        axes.plot(*zip(*points, strict=True), label=name, color=color, linestyle=dashes)
    axes.set(title=title, xlabel="step")
    values = [row.value for row in history if row.name in names]
    if values and min(values) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(values) < 1000 * min(values) else (1,)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(color=INK, alpha=0.12, linewidth=0.5)
    if names:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), handlelength=1.8, borderaxespad=0)


def _signal(axes: Axes, curves: SignalCurves) -> None:
    for signal, kind, (color, dashes, _) in zip(curves.signals, KINDS, KIND_STYLES, strict=True):
        positions = range(curves.start, curves.start + len(signal))
        axes.plot(positions, signal, label=kind, color=color, linestyle=dashes, linewidth=0.9)
    axes.set(title=f"subband {curves.subband}, one channel", xlabel="sample", ylabel="value")
    axes.margins(x=0.01)
    axes.grid(color=INK, alpha=0.12, linewidth=0.5)


def _spectra(axes: Axes, title: str, found: RealismComparison, labels: Mapping[str, str]) -> None:
    for column, (color, dashes, _) in zip(("before", "after", "real"), KIND_STYLES, strict=True):
        low, middle, high = found.spectra[column]
        frequency = np.arange(1, len(middle) + 1) / found.side
        axes.fill_between(frequency, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(frequency, middle, label=labels[column], color=color, linestyle=dashes)
    axes.set(title=title, xlabel="cycles per pixel", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.01)
    axes.grid(color=INK, alpha=0.12, linewidth=0.5)


def _strength(axes: Axes, measured: ModalitySignals) -> None:
    places = np.arange(len(measured.subbands))
    for index, (values, (color, _, marker)) in enumerate(zip(measured.strength, KIND_STYLES, strict=True)):
        positions = places + 0.22 * (index - 1)
        axes.vlines(positions, values.min(axis=0), values.max(axis=0), color=color, linewidth=0.8)
        axes.plot(positions, np.exp(np.log(values).mean(axis=0)), marker, color=color, markersize=4)
    axes.set(title="strength of all subbands", ylabel="RMS", yscale="log")
    axes.set_xticks(places, [subband.replace("_", ".") for subband in measured.subbands])
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.5)


def _svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element that fills its column, without what would reach beyond it: a style sheet, ids
    that nothing refers to.
    """
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = text.getvalue()
    svg = EXTRAS.sub("", svg[svg.index("<svg") :])
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", svg)
    return svg.replace(INK, "currentColor")
