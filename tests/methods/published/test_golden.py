"""The published weights in our networks give what the authors' own code gives (recorded; SIGFORGE_REFERENCE says where)."""

import importlib.util
import os
from pathlib import Path

import pytest
import torch

from sigforge.core.colour import luma
from sigforge.methods.loading import load
from sigforge.methods.published.checkpoints import ENVIRONMENT
from sigforge.methods.published.method import list_published


def load_script():
    spec = importlib.util.spec_from_file_location("docs_golden", Path(__file__).parents[3] / "docs/golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = load_script()
CASES = {case.file.removesuffix(".npz"): case for case in golden.CASES}
slow = pytest.mark.skipif("SIGFORGE_SLOW" not in os.environ, reason="takes ten seconds: set SIGFORGE_SLOW to run it")


@pytest.fixture(autouse=True)
def _weights(imported, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(imported))


def lumas(case):
    return [golden.grey(image) for image in case.inputs()]


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name, marks=[slow] if case.slow else []) for name, case in CASES.items()]
)
def test_recorded_outputs_come_back(case):
    difference, levels = golden.difference(case)
    assert difference <= 1e-4 and levels <= 1


def test_every_published_network_has_a_recorded_output():
    # RoadScene's weights run in the same network, but no output of theirs was recorded.
    assert {case.method for case in golden.CASES} == set(list_published()) - {"mufusion_roadscene"}


def test_a_difference_is_told_in_unit_range_and_in_levels(monkeypatch):
    case = CASES["densefuse__gray_TNO1_avg"]
    ours = torch.full((4, 4), 0.5)
    other = ours.clone()
    other[2, 1] = 0.51
    monkeypatch.setattr(golden.Case, "outputs", lambda self: (ours, other))
    difference, levels = golden.difference(case)
    assert difference == pytest.approx(0.01) and levels == 2


def test_ifcnn_as_a_method_gives_the_luma_of_the_networks_rgb():
    case = CASES["ifcnn__IFCNN-MAX-MD-c01"]
    expected = luma(case.recorded()[None].clamp(0, 1))
    torch.testing.assert_close(load("ifcnn_max_raw").fuse(*lumas(case)), expected, atol=1e-4, rtol=0)


def test_cunet_gets_the_over_exposed_image_first():
    case = CASES["cunet__multi_exposure_128"]
    over, under = (x[..., :40, :40] for x in lumas(case))
    expected = luma(case.network([x.expand(-1, 3, -1, -1) for x in (over, under)]).clamp(0, 1))
    torch.testing.assert_close(load("cunet", "mef").fuse(under, over), expected, atol=1e-4, rtol=0)


def test_mufusion_as_a_method_gives_the_networks_answer_clamped():
    case = CASES["mufusion__medical_harvard_128"]
    fused = load("mufusion", "mif").fuse(*(x[..., :128, :128] for x in lumas(case)), stretch=False)
    torch.testing.assert_close(fused.squeeze(), case.recorded().squeeze().clamp(0, 1), atol=1e-4, rtol=0)


def test_gifnets_luma_is_cut_after_rounding():
    # 0.587 * 5 + 0.299 * 5 + 0.114 * 5 is 5 exactly, and below it in this order and precision.
    levels = {v: round(255 * golden.cut_luma(golden.PIL.Image.new("RGB", (1, 1), (v, v, v))).item()) for v in (5, 16)}
    assert levels == {5: 5, 16: 15}
    assert round(255 * golden.cut_luma(golden.PIL.Image.new("RGB", (1, 1), (10, 20, 31))).item()) == 18
