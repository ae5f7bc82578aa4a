import numpy as np
import pytest
import pywt
import torch

from sigforge.signal.dwt import Dwt, dwt, idwt


@pytest.mark.parametrize("mode", ["symmetric", "reflect", "zero", "constant", "periodic"])
@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior4.4"])
@pytest.mark.parametrize("bands", [2, 3])
def test_components_equal_pywavelets(wavelet, mode, bands):
    for length in (36, 37, 39):
        x = np.random.default_rng(length).standard_normal((2, length))
        expected = pywt.mra(x, wavelet, level=bands - 1, axis=-1, transform="dwt", mode=mode)
        parts = dwt(torch.from_numpy(x), bands, wavelet=wavelet, mode=mode)
        np.testing.assert_allclose(parts.subbands.movedim(-2, 0).numpy(), np.array(expected), atol=1e-10)
        assert float((idwt(parts) - torch.from_numpy(x)).abs().max()) <= 1e-12


@pytest.mark.parametrize("length", [8, 9, 10, 11, 1023, 4225, 65536])
def test_reconstruction_at_every_length(length):
    x = torch.from_numpy(np.random.default_rng(length).standard_normal(length))
    for signal, tolerance in ((x, 1e-12), (x.float(), 1e-5)):
        parts = dwt(signal)
        assert parts.subbands.shape == (3, length) and parts.subbands.dtype == signal.dtype
        assert float((idwt(parts) - signal).abs().max()) <= tolerance


def test_low_band_holds_what_is_smooth():
    t = torch.arange(1024, dtype=torch.float64)
    slow, fast = torch.sin(t / 100), torch.cos(3.0 * t)
    low, *_, top = dwt(slow + fast, wavelet="db4").subbands
    assert float((low - slow)[50:-50].abs().max()) < 0.05
    assert float((top - fast)[50:-50].abs().max()) < 0.05


def test_gradients_flow_through_both_ways():
    x = torch.linspace(-1, 2, 9, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: dwt(s).subbands, x)
    assert torch.autograd.gradcheck(lambda s: idwt(Dwt(dwt(s).subbands.square())), x)


def test_empty_batches_stay_empty():
    parts = dwt(torch.zeros(2, 0, 33))
    assert parts.subbands.shape == (2, 0, 3, 33) and idwt(parts).shape == (2, 0, 33)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dwt(torch.zeros(16), wavelet="harr"), "harr.*haar"),
        (lambda: dwt(torch.zeros(16), mode="mirror"), "mirror.*symmetric"),
        (lambda: dwt(torch.zeros(16), 6), "at least 32"),
        (lambda: dwt(torch.zeros(16), 3, wavelet="db4"), "at least 28"),
        (lambda: idwt(Dwt(torch.full((2, 16), torch.nan))), "NaN"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
