"""Metrics on windows and spectra against slow, literal NumPy written from the definitions alone."""

import math

import numpy as np
import pytest
from scipy.signal import correlate2d

from sigforge.metrics import score


def grey(image):
    return np.rint(image[0, 0].double().numpy() * 255)


def gauss2d(size, sigma):
    axis = np.arange(size) - size // 2
    window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * sigma**2))
    return window / window.sum()


def moments(x, y, window):
    def mean(z):
        return correlate2d(z, window, "valid")

    mx, my = mean(x), mean(y)
    return mx, my, mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my


def ssim(x, y, window, c1, c2):
    mx, my, vx, vy, cov = moments(x, y, window)
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1) * (2 * cov + c2) / (vx + vy + c2)


WANG = gauss2d(11, 1.5), 2.55**2, 7.65**2
YANG = gauss2d(7, 1.5), 2e-16, 2e-16


def piella(f, a, b):
    _, _, va, vb, _ = moments(a, b, WANG[0])
    quality = (va * ssim(a, f, *WANG) + vb * ssim(b, f, *WANG)) / (va + vb)
    return quality, np.maximum(va, vb)


def direct_q_s(f, a, b):
    return piella(f, a, b)[0].mean()


def direct_q_w(f, a, b):
    quality, weight = piella(f, a, b)
    return (quality * weight).sum() / weight.sum()


def direct_q_e(f, a, b):
    kernel = np.array([[1, 0, -1]] * 3)
    edges = [np.hypot(correlate2d(x, kernel, "same"), correlate2d(x, kernel.T, "same")) for x in (f, a, b)]
    return direct_q_w(f, a, b) * direct_q_w(*edges)


def direct_q_y(f, a, b):
    _, _, va, vb, _ = moments(a, b, YANG[0])
    sa, sb = ssim(a, f, *YANG), ssim(b, f, *YANG)
    return np.where(ssim(a, b, *YANG) >= 0.75, (va * sa + vb * sb) / (va + vb), np.maximum(sa, sb)).mean()


def direct_q_c(f, a, b):
    ca, cb = moments(a, f, YANG[0])[4], moments(b, f, YANG[0])[4]
    share = ca / (ca + cb)
    quality = share * ssim(a, f, *YANG) + (1 - share) * ssim(b, f, *YANG)
    return np.select([share < 0, share > 1], [0, 1], quality).mean()


def direct_q_c_clipped(f, a, b):
    ca, cb = moments(a, f, YANG[0])[4], moments(b, f, YANG[0])[4]
    share = np.clip(ca / (ca + cb), 0, 1)
    return (share * ssim(a, f, *YANG) + (1 - share) * ssim(b, f, *YANG)).mean()


def mef(f, sources):
    window, scores = WANG[0], []
    for at in np.ndindex(f.shape[0] - 10, f.shape[1] - 10):
        cut = tuple(slice(i, i + 11) for i in at)
        patches = [s[cut] - s[cut].mean() for s in sources]
        norms = [np.linalg.norm(p) for p in patches]
        ratio = min((np.linalg.norm(sum(patches)) + 2.2e-16) / (sum(norms) + 2.2e-16), 1 - 2.2e-16)
        power = min(math.tan(math.pi / 2 * ratio), 10)
        weights = np.array([((n + 0.001) / 11) ** power for n in norms]) + 2.2e-16
        wished = sum(w / weights.sum() * p / (n + 0.001) for w, p, n in zip(weights, patches, norms, strict=True))
        wished = wished / np.linalg.norm(wished) * (max(norms) + 0.001)
        x, y = wished - (window * wished).sum(), f[cut] - (window * f[cut]).sum()
        scores.append((2 * (window * x * y).sum() + 7.65**2) / ((window * (x * x + y * y)).sum() + 7.65**2))
    return np.mean(scores)


def halve(x):
    x = np.pad(x, [(0, n % 2) for n in x.shape], mode="edge")
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


def direct_mef_ssim(f, a, b):
    return mef(f, (a, b))


def direct_mef_ms_ssim(f, a, b):
    result, weights = 1, np.array([0.0448, 0.2856, 0.3001])
    for weight in weights / weights.sum():
        result *= mef(f, (a, b)) ** weight
        f, a, b = map(halve, (f, a, b))
    return result


def direct_viff(f, a, b):
    result = 0
    for size, weight in zip((17, 9, 5, 3), (1, 0, 0.15, 1), strict=True):
        window = gauss2d(size, size / 5)
        if size < 17:
            f, a, b = (correlate2d(x, window, "valid")[::2, ::2] for x in (f, a, b))
        channels = []
        for source in (a, b):
            _, _, vs, vf, cov = moments(source, f, window)
            gain = np.maximum(cov / (vs + 1e-10), 0)
            rest = np.where(cov < 0, vf, np.maximum(vf - gain * cov, 1e-10))
            channels.append((gain, np.log10(1 + gain**2 * vs / (rest + 325.125)), np.log10(1 + vs / 325.125)))
        (ga, *of_a), (gb, *of_b) = channels
        kept, all_ = (np.where(ga < gb, x, y) + 1e-7 for x, y in zip(of_a, of_b, strict=True))
        result += weight * kept.sum() / all_.sum() / 2.15
    return result


def stretch(x):
    return np.floor((x - x.min()) / (x.max() - x.min()) * 255 + 0.5)


def filtered(x, response, scale):
    v, u = np.meshgrid(*(np.fft.fftfreq(n) * n / scale for n in x.shape), indexing="ij")
    return np.real(np.fft.ifft2(np.fft.fft2(x) * response(np.hypot(u, v))))


def direct_q_cv(f, a, b):
    f, top, bottom = stretch(f), 0, 0
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    for source in map(stretch, (a, b)):
        strength = np.hypot(correlate2d(source, kernel, "same"), correlate2d(source, kernel.T, "same")) ** 5
        seen = filtered(source - f, lambda r: 2.6 * (0.0192 + 0.144 * r) * np.exp(-((0.144 * r) ** 1.1)), 4)
        for i, j in np.ndindex(-(-f.shape[0] // 16), -(-f.shape[1] // 16)):
            cut = slice(16 * i, 16 * i + 16), slice(16 * j, 16 * j + 16)
            top += strength[cut].sum() * (seen[cut] ** 2).sum() / 256
            bottom += strength[cut].sum()
    return top / bottom


def direct_q_cb(f, a, b):
    axis = np.arange(-15, 16)

    def contrast(x):
        seen = filtered(stretch(x), lambda r: np.exp(-((r / 15.387) ** 2)) - 0.7622 * np.exp(-((r / 1.3456) ** 2)), 15)
        means = []
        for sigma in (2, 4):
            window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
            means.append(correlate2d(seen, window, "same"))
        c = abs(means[0] / means[1] - 1)
        return c**3 / (c**2 + 1e-4)

    cf, ca, cb = map(contrast, (f, a, b))
    kept = [np.minimum(c, cf) / np.maximum(c, cf) for c in (ca, cb)]
    return ((ca**2 * kept[0] + cb**2 * kept[1]) / (ca**2 + cb**2)).mean()


DIRECT = {name.removeprefix("direct_"): function for name, function in globals().items() if name.startswith("direct_")}


@pytest.mark.parametrize("size", [(48, 46), (45, 51)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", DIRECT)
def test_agrees_with_the_definition(scene, name, size) -> None:
    images = scene(*size)
    expected = DIRECT[name](*map(grey, images))
    assert score(*images, metrics=[name])[name].item() == pytest.approx(expected, rel=1e-8)


def test_multi_scale_similarity_is_the_product_of_its_scales(scene) -> None:
    images = scene(170, 165)
    f, a, b = map(grey, images)
    expected = 0
    for x, y in ((a, f), (b, f)):
        product = 1
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            # Without luminance but for the coarsest scale.
            product *= max(ssim(x, y, WANG[0], 2.55**2 if scale == 4 else 1e30, 7.65**2).mean(), 0) ** weight
            x, y = halve(x), halve(y)
        expected += product
    result = score(*images, metrics="ms_ssim,ms_ssim_sum")
    assert result["ms_ssim_sum"].item() == pytest.approx(expected, rel=1e-8)
    assert result["ms_ssim"].item() == pytest.approx(expected / 2, rel=1e-8)
