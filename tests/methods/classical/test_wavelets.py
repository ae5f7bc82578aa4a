import numpy as np
import pytest
import pywt
import torch

from sigforge.methods.classical.dtcwt import FARRAS, Q_SHIFT
from sigforge.methods.classical.wavelets import decimate, interpolate, join, undecimated_split


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("name", ["haar", "db4", "bior4.4", "sym5"])
@pytest.mark.parametrize(("length", "step"), [(16, 1), (17, 2), (5, 8), (1, 1)])
def test_join_undoes_split_at_any_length(name, length, step):
    bank, x = pywt.Wavelet(name), noise(3, length)
    bands = undecimated_split(x, bank.dec_lo, bank.dec_hi, -1, step=step)
    torch.testing.assert_close(join(*bands, bank.rec_lo, bank.rec_hi, -1, step=step), x, atol=1e-10, rtol=0)


def test_split_is_the_stationary_transform():
    bank, x = pywt.Wavelet("db2"), noise(32)
    low, high = undecimated_split(x, bank.dec_lo, bank.dec_hi, 0)
    ((reference_low, reference_high),) = pywt.swt(x.numpy(), "db2", 1)
    # PyWavelets centres its filters, a shift of half their length.
    np.testing.assert_allclose(torch.roll(low, -2, 0), reference_low, atol=1e-12)
    np.testing.assert_allclose(torch.roll(high, -2, 0), reference_high, atol=1e-12)


@pytest.mark.parametrize("low", [FARRAS, Q_SHIFT, Q_SHIFT[::-1]], ids=["farras", "q-shift", "reversed"])
def test_the_decimated_banks_of_the_dual_tree_are_orthonormal(low):
    high = [(-1) ** k * tap for k, tap in enumerate(reversed(low))]
    x = noise(2, 24, 10)
    bands = [decimate(x, taps, 1) for taps in (low, high)]
    assert bands[0].shape == (2, 12, 10)
    assert sum(float(band.square().sum()) for band in bands) == pytest.approx(float(x.square().sum()), rel=1e-12)
    back = sum(interpolate(band, taps, 1) for band, taps in zip(bands, (low, high), strict=True))
    torch.testing.assert_close(back, x, atol=1e-12, rtol=0)
