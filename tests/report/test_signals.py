import numpy as np
import pytest
import scipy.stats
import torch

from sigforge.methods.sigfusion.plgn import Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.report.signals import FLOOR, measure_signals, wasserstein

CONFIG = SigFormerConfig(width=8, heads=2, signals=4, pools=(1, 1), skip="none")


def make_plgn(config=CONFIG) -> Plgn:
    torch.manual_seed(0)
    return Plgn(SigFormer(config), ("ir",)).eval()


def planes(count: int, seed: int, side: int = 64) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((side, side), dtype=np.float32) for _ in range(count)]


def test_fresh_modulators_change_nothing():
    measured = measure_signals(make_plgn(), "ir", planes(3, 0), planes(3, 1))
    before, after = measured.distance
    assert np.allclose(before, after) and before.max() > 0
    assert np.allclose(measured.strength[0], measured.strength[1])
    for curves in measured.curves:
        assert np.allclose(curves.signals[0], curves.signals[1])


def test_a_target_equal_to_the_photograph_is_at_no_distance():
    same = planes(2, 0)
    measured = measure_signals(make_plgn(), "ir", same, same)
    assert measured.distance.max() < 1e-6
    assert np.allclose(measured.strength[0], measured.strength[2])


def test_modulators_that_brighten_move_the_low_subband_only():
    plgn = make_plgn()
    with torch.no_grad():
        low = plgn.modulators["ir"].modulators["L2"]
        low.project.weight[range(8), range(8), 0, 0] = -0.8
    dark = [plane * 0.2 for plane in planes(3, 1)]
    measured = measure_signals(plgn, "ir", planes(3, 0), dark)
    names = list(measured.subbands)
    change = measured.distance[1] - measured.distance[0]
    assert abs(change[names.index("L2")]) > 0.05
    assert np.allclose(change[1:], 0)


def test_shapes_names_and_window():
    measured = measure_signals(make_plgn(), "ir", planes(4, 0, side=128), planes(3, 1, side=128))
    assert measured.subbands == ("L2", "H1_1", "H1_2", "H2_1", "H2_2")
    assert measured.strength.shape == (3, 3, 5) and measured.distance.shape == (2, 5)
    low, high = measured.curves
    assert (low.subband, high.subband) == ("L2", "H1_1")
    assert (low.length, low.start, len(low.signals[0])) == (33 * 33, (33 * 33 - 256) // 2, 256)
    assert [image.shape for image in measured.images] == [(128, 128)] * 3


def test_low_curve_is_the_low_map_read_row_by_row():
    plgn, (photo,), (real,) = make_plgn(), planes(1, 0), planes(1, 1)
    with torch.inference_mode():
        low = plgn.sigformer.decompose(torch.from_numpy(photo)[None, None]).low[0, 0].flatten().numpy()
    measured = measure_signals(plgn, "ir", [photo], [real])
    curve = measured.curves[0]
    assert np.array_equal(curve.signals[0], low[curve.start : curve.start + 256])


def test_photographs_and_targets_may_differ_in_size():
    measured = measure_signals(make_plgn(), "ir", planes(2, 0, side=96), planes(2, 1, side=64))
    assert len({len(signal) for signal in measured.curves[0].signals}) == 1
    assert np.isfinite(measured.distance).all()


def test_empty_subbands_have_a_strength():
    flat = [np.full((64, 64), 0.5, np.float32)]
    measured = measure_signals(make_plgn(), "ir", planes(1, 0), flat)
    assert measured.strength.min() == pytest.approx(FLOOR * measured.strength.max())


def test_wasserstein_agrees_with_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 4000)), rng.normal(0.5, 1.5, size=(3, 2500))
    expected = np.mean([scipy.stats.wasserstein_distance(*two) for two in zip(x, y, strict=True)])
    assert wasserstein(x, y) == pytest.approx(expected, rel=0.01)
