"""Feature mutual information against slow, literal NumPy written from the published algorithm."""

import math

import numpy as np
import pytest
import pywt
import torch
from scipy.fft import dctn

from sigforge.metrics import score
from sigforge.metrics.feature_information import _dct, _dmey


def grey(image):
    return np.rint(image[0, 0].double().numpy() * 255)


def window_information(x, y):
    if np.array_equal(x, y):
        return 1
    p, q = (np.ones(9) if np.ptp(w) == 0 else (w.T.ravel() - w.min()) / np.ptp(w) for w in (x, y))
    p, q = p / p.sum(), q / q.sum()
    number, cp, cq = np.arange(9), np.cumsum(p), np.cumsum(q)
    r = 0 if min(np.ptp(p), np.ptp(q)) == 0 else np.corrcoef(p, q)[0, 1]
    if r >= 0:
        extreme = np.minimum.outer(cp, cq)
    else:
        extreme = np.maximum(np.add.outer(cp, cq) - 1, 0)
    spread = math.prod(np.sqrt(d @ number**2 - (d @ number) ** 2) for d in (p, q))
    share = r * spread / (extreme - np.outer(cp, cq)).sum() if r and spread else 0
    cells = np.diff(np.diff(np.pad(extreme, ((1, 0), (1, 0))), axis=0), axis=1)
    joint = share * cells + (1 - share) * np.outer(p, q)

    def entropy(d):
        return -np.sum(d[d != 0] * np.log2(abs(d[d != 0])))

    total = entropy(p) + entropy(q)
    return 2 * (total - entropy(joint)) / total if total else 0


def information(f, a, b):
    cuts = [(slice(i, i + 3), slice(j, j + 3)) for i, j in np.ndindex(f.shape[0] - 2, f.shape[1] - 2)]
    return np.mean([window_information(s[cut], f[cut]) for s in (a, b) for cut in cuts])


def direct_fmi(f, a, b):
    return information(f, a, b)


def direct_fmi_gradient(f, a, b):
    return information(*(np.gradient(x, axis=1) for x in (f, a, b)))


def direct_fmi_dct(f, a, b):
    return information(*(dctn(x, norm="ortho") for x in (f, a, b)))


def direct_fmi_wavelet(f, a, b):
    def bands(x):
        low, (horizontal, vertical, diagonal) = pywt.dwt2(x, "dmey", mode="symmetric")
        return np.block([[low, horizontal], [vertical, diagonal]])

    return information(*map(bands, (f, a, b)))


DIRECT = {name.removeprefix("direct_"): function for name, function in globals().items() if name.startswith("direct_")}


@pytest.mark.parametrize("size", [(24, 21), (15, 26)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", DIRECT)
def test_agrees_with_the_definition(scene, name, size) -> None:
    images = scene(*size)
    expected = DIRECT[name](*map(grey, images))
    assert score(*images, metrics=[name])[name].item() == pytest.approx(expected, rel=1e-5)


def test_fmi_where_windows_are_flat_or_hold_one_bright_pixel(scene) -> None:
    fused, a, _b = (image[..., :20, :20].clone() for image in scene())
    a[..., :9, :], fused[..., :6, :], fused[..., 7, 7] = 0, 0, 1 / 255
    expected = direct_fmi(*map(grey, (fused, a, a)))
    assert score(fused, a, a, metrics="fmi")["fmi"].item() == pytest.approx(expected, rel=1e-5)


def test_the_published_fmi_tells_one_bright_pixel_from_another() -> None:
    a, fused = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    a[..., 1, 1], fused[..., 1, 1] = 0.2, 0.4
    result = score(fused, a, fused, metrics="fmi,fmi_symmetric")
    # The window equals b until it is stretched for the comparison with a.
    assert result["fmi"].item() == 0 and result["fmi_symmetric"].item() == 1
    assert score(fused, fused, a, metrics="fmi")["fmi"].item() == 0.5


@pytest.mark.parametrize("length", [1, 2, 7, 16])
def test_the_cosine_transform_is_scipys(length) -> None:
    signals = torch.rand(3, length, dtype=torch.float64)
    np.testing.assert_allclose(_dct(signals), dctn(signals.numpy(), norm="ortho", axes=-1), atol=1e-12)


@pytest.mark.parametrize("length", [9, 64])
def test_the_wavelet_matrix_is_pywavelets(length) -> None:
    signal = torch.rand(length, dtype=torch.float64)
    expected = np.concatenate(pywt.dwt(signal.numpy(), "dmey", mode="symmetric"))
    np.testing.assert_allclose(_dmey(length, torch.device("cpu")) @ signal, expected, atol=1e-12)
