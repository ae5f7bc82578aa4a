import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from sigforge.report.figures import INK, curves_figure, signals_figure
from sigforge.report.signals import ModalitySignals, SignalCurves
from sigforge.training.loop import HistoryRow


def history(**values: float) -> list[HistoryRow]:
    return [HistoryRow(step, name, value / (step + 1)) for step in range(0, 50, 10) for name, value in values.items()]


def measured() -> ModalitySignals:
    rng = np.random.default_rng(0)
    curves = [SignalCurves(name, 0, 64, tuple(rng.normal(size=(3, 64)))) for name in ("L2", "H1_1")]
    strength = rng.random((3, 4, 5)) + 0.1
    return ModalitySignals(
        "ir", (np.zeros((8, 8)),) * 3, tuple(curves), ("L2", "H1_1", "H1_2", "H2_1", "H2_2"), strength, strength[:2, 0]
    )


@pytest.fixture(params=["curves", "signals"])
def draw(request):
    if request.param == "signals":
        return lambda name: signals_figure(measured(), name)
    return lambda name: curves_figure([("plgn", history(loss=1, pixel=2)), ("pretext", history(loss=1))], name)


def test_same_data_same_bytes(draw):
    assert draw("x") == draw("x")


def test_ids_of_two_figures_never_meet(draw):
    one, two = (set(re.findall(r' id="([^"]+)"', draw(name))) for name in ("x", "y"))
    assert one and two and not one & two


def test_svg_is_well_formed_and_needs_nothing_from_outside(draw):
    svg = draw("x")
    ElementTree.fromstring(svg)
    assert "<style" not in svg and "<metadata" not in svg
    referred = set(re.findall(r'(?:url\(#|href="#)([\w.-]+)', svg))
    assert referred == set(re.findall(r' id="([^"]+)"', svg))
    assert set(re.findall(r'https?://[^"]+', svg)) == {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}


def test_ink_is_the_pages_text_colour(draw):
    svg = draw("x")
    assert INK not in svg and "currentColor" in svg
    assert "#000000" not in svg and "#ffffff" not in svg


def test_training_values_are_drawn_and_validation_values_are_not():
    svg = curves_figure([("plgn", [*history(loss=1.0), HistoryRow(50, "val_psnr", 1e6)])], "x")
    assert ">loss<" in svg and ">plgn<" in svg and ">step<" in svg
    assert "psnr" not in svg and "1e+06" not in svg


def test_negative_losses_and_empty_histories_are_drawn():
    assert ">loss<" in curves_figure([("a", history(loss=-1.0))], "x")
    assert ">a<" in curves_figure([("a", [])], "x")


def test_signals_figure_names_what_it_shows():
    svg = signals_figure(measured(), "x")
    for text in (
        "photograph",
        "modulated",
        "target",
        "subband L2, one channel",
        "subband H1_1, one channel",
        "H2.2",
        "RMS",
    ):
        assert f">{text}<" in svg
