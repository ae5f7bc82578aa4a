import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sigforge.signal.boundaries import largest_maxima, line_boundaries, lowest_minimum_boundaries, midpoint_boundaries
from sigforge.signal.dwt import dwt
from sigforge.signal.ewt import Ewt, ewt, filter_bank, iewt, mean_magnitude

RULES = ("midpoint", "lowest_minimum", "line", "fixed")


def signals(kind: str, length: int, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    made = {
        "noise": rng.standard_normal(length),
        "constant": np.full(length, 3.0),
        "zero": np.zeros(length),
        "impulse": (t == length // 2) * 1.0,
        "tone": np.sin(rng.uniform(0.05, 3.0) * t),
        "step": (t > length // 3) * 2.0 - 1,
        "ramp": t / length,
    }
    return torch.from_numpy(made[kind].astype(np.float64))


KINDS = ("noise", "constant", "zero", "impulse", "tone", "step", "ramp")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(KINDS),
    length=st.one_of(st.integers(8, 300), st.sampled_from([1023, 1024, 4099, 65536])),
    bands=st.integers(2, 7),
    rule=st.sampled_from(RULES),
    seed=st.integers(0, 1000),
)
def test_perfect_reconstruction(kind, length, bands, rule, seed):
    x = signals(kind, length, seed)
    assert float((iewt(ewt(x, bands, rule=rule)) - x).abs().max()) <= 1e-12
    single = x.float()
    assert float((iewt(ewt(single, bands, rule=rule)) - single).abs().max()) <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amplitude", [1e-20, 1e12])
def test_reconstruction_is_relative_to_amplitude(kind, amplitude):
    x = signals(kind, 577, 3) * amplitude
    largest = float(x.abs().max())
    assert float((iewt(ewt(x)) - x).abs().max()) <= 1e-12 * largest
    assert float((iewt(ewt(x.float())) - x.float()).abs().max()) <= 1e-5 * largest


@settings(max_examples=30, deadline=None, derandomize=True)
@given(length=st.integers(8, 400), bands=st.integers(2, 6), seed=st.integers(0, 1000), rule=st.sampled_from(RULES))
def test_filters_are_a_tight_frame(length, bands, seed, rule):
    parts = ewt(signals("noise", length, seed), bands, rule=rule)
    power = filter_bank(parts.boundaries, length).pow(2).sum(-2)
    torch.testing.assert_close(power, torch.ones_like(power), atol=1e-12, rtol=0)
    assert bool((parts.boundaries.diff(dim=-1) > 0).all()) and 0 < float(parts.boundaries.min())
    assert float(parts.boundaries.max()) < math.pi


def direct_filter(omega: float, cuts: list[float], n: int, gamma: float) -> float:
    """Gilles's definition written out for one frequency, the last band flat up to pi."""

    def beta(x: float) -> float:
        x = min(1.0, max(0.0, x))
        return x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)

    def position(cut: float) -> float:
        return (omega - (1 - gamma) * cut) / (2 * gamma * cut)

    rising = 1.0 if n == 0 else math.sin(math.pi / 2 * beta(position(cuts[n - 1])))
    falling = 1.0 if n == len(cuts) else math.cos(math.pi / 2 * beta(position(cuts[n])))
    return rising * falling


@pytest.mark.parametrize("length", [8, 33, 64])
def test_equals_the_definition_evaluated_directly(length):
    x = np.random.default_rng(length).standard_normal(length)
    cuts = [0.4, 1.1, 2.0]
    edges = [*cuts, math.pi]
    gamma = (1 - 1 / length) * min((edges[i + 1] - edges[i]) / (edges[i + 1] + edges[i]) for i in range(3))
    extended = np.concatenate([x, x[::-1]])
    n = np.arange(2 * length)
    expected = np.zeros((4, length))
    for k in range(2 * length):
        omega = math.pi * min(k, 2 * length - k) / length
        coefficient = (extended * np.exp(-1j * math.pi * k * n / length)).sum()
        wave = np.exp(1j * math.pi * k * n[:length] / length) / (2 * length)
        for band in range(4):
            expected[band] += (coefficient * direct_filter(omega, cuts, band, gamma) * wave).real
    # float64 boundaries: rounding them to float32 would shift the filters by 1e-8.
    got = ewt(torch.from_numpy(x), 4, boundaries=torch.tensor(cuts, dtype=torch.float64)).subbands.numpy()
    np.testing.assert_allclose(got, expected, atol=1e-10)


def test_two_tones_are_separated():
    t = torch.arange(1024, dtype=torch.float64)
    slow, fast = torch.sin(2 * math.pi * 20 / 1024 * t), 0.5 * torch.sin(2 * math.pi * 200 / 1024 * t)
    low, high = ewt(slow + fast, 2, boundaries=torch.tensor([0.6], dtype=torch.float64)).subbands
    middle = slice(100, -100)
    assert float((low - slow)[middle].abs().max()) < 0.02
    assert float((high - fast)[middle].abs().max()) < 0.02


def test_midpoints_of_known_maxima():
    magnitude = torch.zeros(101, dtype=torch.float64)
    magnitude[20], magnitude[60] = 2.0, 1.0
    expected = torch.tensor([10, 40], dtype=torch.float64) * math.pi / 100
    torch.testing.assert_close(midpoint_boundaries(magnitude, 3), expected)


def test_missing_maxima_are_filled_evenly():
    magnitude = torch.zeros(101, dtype=torch.float64)
    magnitude[40] = 1.0
    cuts = midpoint_boundaries(magnitude, 3) / math.pi
    torch.testing.assert_close(cuts, torch.tensor([0.2, 0.6], dtype=torch.float64))


def test_line_rule_keeps_maxima_apart_and_falls_back():
    torch.manual_seed(0)
    magnitude = mean_magnitude(torch.randn(6, 4, 256, dtype=torch.float64), dim=1)
    cuts = line_boundaries(magnitude, 3)
    assert bool((cuts > math.pi / 32).all()) and bool((cuts.diff(dim=-1) > 0).all())
    flat = line_boundaries(torch.zeros(257, dtype=torch.float64), 3)
    torch.testing.assert_close(flat, torch.tensor([math.pi / 8, math.pi / 2], dtype=torch.float64))


def test_batch_equals_loop_and_banks_broadcast():
    torch.manual_seed(1)
    x = torch.randn(3, 5, 64, dtype=torch.float64)
    together = ewt(x, 3)
    for i in range(3):
        for j in range(5):
            torch.testing.assert_close(ewt(x[i, j], 3).subbands, together.subbands[i, j])
    shared = ewt(x, 3, boundaries=torch.tensor([[0.3, 1.0]], dtype=torch.float64))
    assert shared.subbands.shape == (3, 5, 3, 64)
    torch.testing.assert_close(iewt(shared), x)


def test_gradients_flow_to_the_signal():
    torch.manual_seed(2)
    cuts = torch.tensor([0.5, 1.5], dtype=torch.float64)
    x = torch.randn(9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: ewt(s, 3, boundaries=cuts).subbands, x)
    assert torch.autograd.gradcheck(lambda s: iewt(Ewt(ewt(s, 3, boundaries=cuts).subbands * 2, cuts)), x)


def test_changed_subbands_use_the_stored_bank_and_no_other():
    x = signals("noise", 65, 5).expand(2, 65)
    parts = ewt(x, 3)
    doubled = replace(parts, subbands=2 * parts.subbands)
    torch.testing.assert_close(iewt(doubled), 2 * x)
    torch.testing.assert_close(iewt(Ewt(doubled.subbands, parts.boundaries)), 2 * x)
    others = torch.tensor([1.0, 2.0], dtype=torch.float64)
    moved = iewt(replace(parts, boundaries=others))
    torch.testing.assert_close(moved, iewt(Ewt(parts.subbands, others)))
    assert not torch.allclose(moved, x)


def test_single_precision_bank_is_not_used_for_double_subbands():
    parts = ewt(signals("noise", 64, 6).float(), 3)
    wide = replace(parts, subbands=parts.subbands.double())
    torch.testing.assert_close(iewt(wide), iewt(Ewt(wide.subbands, parts.boundaries)), atol=0, rtol=0)


@pytest.mark.parametrize("rule", RULES)
def test_shared_bank_is_cut_from_the_mean_magnitude(rule):
    torch.manual_seed(7)
    x = torch.randn(2, 3, 4, 81, dtype=torch.float64) + 5
    parts = ewt(x, 3, rule=rule, shared=(0, 2))
    assert parts.boundaries.shape == (1, 3, 1, 2)
    centred = x - x.mean(-1, keepdim=True)
    spectrum = torch.fft.rfft(torch.cat([centred, centred.flip(-1)], -1)).abs().mean((0, 2))
    torch.testing.assert_close(mean_magnitude(x, (0, 2)), spectrum)
    rules = {"midpoint": midpoint_boundaries, "lowest_minimum": lowest_minimum_boundaries, "line": line_boundaries}
    if rule in rules:
        torch.testing.assert_close(parts.boundaries[0, :, 0], rules[rule](spectrum, 3))
    torch.testing.assert_close(iewt(parts), x)


def test_a_constant_has_no_spectrum():
    assert not mean_magnitude(torch.full((4, 100), 3.3), 0).any()


def test_largest_maxima_equal_a_plain_search():
    magnitude = torch.rand(20, 65, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    got, found = largest_maxima(magnitude, 3)
    for row, frequencies in zip(magnitude.tolist(), got, strict=True):
        peaks = [k for k in range(1, 64) if row[k - 1] < row[k] >= row[k + 1]]
        expected = sorted(sorted(peaks, key=lambda k: -row[k])[:3])
        torch.testing.assert_close(frequencies, torch.tensor(expected, dtype=torch.float64) * math.pi / 64)
    assert bool((found == 3).all())


@pytest.mark.parametrize("shape", [(0, 32), (3, 0, 33)])
@pytest.mark.parametrize("rule", RULES)
def test_empty_batches_stay_empty(shape, rule):
    parts = ewt(torch.zeros(shape), 4, rule=rule)
    assert parts.subbands.shape == (*shape[:-1], 4, shape[-1]) and iewt(parts).shape == shape


def with_sample(value: float, index: int) -> torch.Tensor:
    x = torch.zeros(3, 17)
    x[1, index] = value
    return x


@pytest.mark.parametrize("transform", [ewt, dwt])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("index", [0, 1, 8, 16])
def test_a_single_bad_sample_is_found(transform, value, index):
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        transform(with_sample(value, index), 3)
    transform(with_sample(value, index), 3, check=False)


@pytest.mark.parametrize("transform", [ewt, dwt])
@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (torch.zeros(16, dtype=torch.int64), "int64.*float"),
        (torch.zeros(16, dtype=torch.bool), "bool.*float"),
        (torch.zeros(16, dtype=torch.float16), "float16.*float"),
        (torch.zeros(16, dtype=torch.bfloat16), "bfloat16.*float"),
        (torch.zeros(16, dtype=torch.complex64), "real.*complex64"),
        (np.zeros(16), "ndarray.*as_tensor"),
        (torch.tensor(1.0), "at least 8"),
        (torch.zeros(7), "at least 8"),
        (torch.full((16,), 3e38), "too large"),
    ],
)
def test_signals_that_cannot_be_split_are_refused(transform, signal, words):
    with pytest.raises(ValueError, match=words):
        transform(signal, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ewt(torch.zeros(7), 3), "at least 8"),
        (lambda: ewt(torch.zeros(16), 1), "at least 2"),
        (lambda: ewt(torch.zeros(16), 3, boundaries=torch.tensor([2.0, 1.0])), "increase"),
        (lambda: ewt(torch.zeros(16), 3, boundaries=torch.tensor([1.0])), "2 bands"),
        (lambda: ewt(torch.zeros(16), 3, boundaries=torch.tensor([1.0, math.nan])), "increase"),
        (lambda: ewt(torch.zeros(16), 3, boundaries=torch.tensor([0.0, 1.0])), "increase"),
        (lambda: ewt(torch.zeros(16), 3, boundaries=[1.0, 2.0]), "floating-point"),
        (lambda: ewt(torch.zeros(16), 17), "17 bands .* 17 samples"),
        (lambda: ewt(torch.zeros(16), 2.0), "whole number"),
        (lambda: ewt(torch.zeros(16), rule="widest"), "widest.*midpoint"),
        (lambda: ewt(torch.zeros(2, 16), shared=-1), "batch"),
        (lambda: iewt(Ewt(torch.zeros(3, 16), torch.tensor([1.0]))), "2 bands"),
        (lambda: iewt(Ewt(torch.full((2, 16), math.nan), torch.tensor([1.0]))), "32 NaN"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
