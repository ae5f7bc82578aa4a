"""Every metric against slow, literal NumPy written from the definitions alone, odd sizes included."""

import math
from functools import partial

import numpy as np
import pytest
from scipy.signal import correlate2d

from sigforge.metrics import score

SIZES = [(64, 64), (47, 53), (45, 60), (52, 43)]


def grey(image):
    return np.rint(image[0, 0].double().numpy() * 255)


def gauss2d(size, sigma):
    axis = np.arange(size) - size // 2
    window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * sigma**2))
    return window / window.sum()


def direct_q_g(f, a, b):
    kx = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
    slopes = {}
    for key, image in (("a", a), ("b", b), ("f", f)):
        gx, gy = correlate2d(image, kx, "same"), correlate2d(image, kx.T, "same")
        strength = np.hypot(gx, gy)
        gx[gx == 0] = 1e-5
        slopes[key] = [strength, np.arctan(gy / gx)]
    total = 0.0
    for at in np.ndindex(f.shape):
        g_f, angle_f = (m[at] for m in slopes["f"])
        top = bottom = 0.0
        for key in "ab":
            g_s, angle_s = (m[at] for m in slopes[key])
            weaker = g_s > g_f
            g_s = g_s or 1e-5
            first = g_f / g_s
            g_f = g_f or 1e-5
            ratio = first if weaker else g_s / g_f
            agreement = abs(abs(angle_s - angle_f) - math.pi / 2) * 2 / math.pi
            quality = 1 / (1 + math.exp(-10 * (ratio - 0.5))) / (1 + math.exp(-20 * (agreement - 0.75)))
            top, bottom = top + quality * g_s, bottom + g_s
        total += top / bottom
    return total / f.size


def direct_q_m(f, a, b):
    def haar(x):
        taps = {"l": np.array([1, 1]) / math.sqrt(2), "h": np.array([-1, 1]) / math.sqrt(2)}
        h, w = x.shape[0] // 2, x.shape[1] // 2
        blocks = x[: 2 * h, : 2 * w].reshape(h, 2, w, 2)
        bands = {r + c: np.einsum("hiwj,i,j->hw", blocks, p, q) for r, p in taps.items() for c, q in taps.items()}
        return bands.pop("ll"), list(bands.values())

    result = 1.0
    for exponent in (2 / 3, 1 / 3):
        (f, f_bands), (a, a_bands), (b, b_bands) = haar(f), haar(a), haar(b)
        top = bottom = 0.0
        for bands in (a_bands, b_bands):
            weight = sum(band**2 for band in bands)
            top += np.sum(weight * sum(np.exp(-abs(s - t)) for s, t in zip(bands, f_bands, strict=True)))
            bottom += weight.sum()
        result *= (top / bottom) ** exponent
    return result


def direct_q_p(f, a, b):
    (pa, *moments_a), (pb, *moments_b), (pf, *moments_f) = map(direct_congruency, (a, b, f))
    mask_a, mask_b, mask_max = pa > 0.1, pb > 0.1, np.maximum(pa, pb) > 0.1
    window = gauss2d(11, 1.5)

    def mean(y):
        return correlate2d(y, window, "same")

    def agreement(s, x, mask):
        covariance = mean(s * x) - mean(s) * mean(x)
        variances = (mean(s * s) - mean(s) ** 2) * (mean(x * x) - mean(x) ** 2)
        return np.where(mask, (covariance + 1e-4) / (np.sqrt(abs(variances)) + 1e-4), 0)

    result = 1.0
    for ma, mb, mf in zip((pa, *moments_a), (pb, *moments_b), (pf, *moments_f), strict=True):
        strongest = np.where(pa > pb, ma, mb)
        maps = [agreement(m * mask, mf, mask) for m, mask in ((ma, mask_a), (mb, mask_b), (strongest, mask_max))]
        result *= np.max(maps, 0).sum() / mask_max.sum()
    return result


def direct_congruency(image):
    rows, cols = image.shape

    def axis(n):
        return (np.arange(-(n - 1) / 2, (n - 1) / 2 + 1) / (n - 1)) if n % 2 else np.arange(-n / 2, n / 2) / n

    x, y = np.meshgrid(axis(cols), axis(rows))
    radius, theta = (np.fft.ifftshift(m) for m in (np.sqrt(x**2 + y**2), np.arctan2(-y, x)))
    radius[0, 0] = 1
    bx, by = np.meshgrid(*((np.arange(1, n + 1) - (n // 2 + 1)) / n for n in (cols, rows)))
    butterworth = np.fft.fftshift(1 / (1 + (np.sqrt(bx**2 + by**2) / 0.45) ** 30))
    energies = amplitudes = cxx = cyy = cxy = 0
    for orientation in range(6):
        angle = orientation * np.pi / 6
        turn = np.arctan2(
            np.sin(theta) * np.cos(angle) - np.cos(theta) * np.sin(angle),
            np.cos(theta) * np.cos(angle) + np.sin(theta) * np.sin(angle),
        )
        spread = np.exp(-(turn**2) / (2 * (np.pi / 6 / 1.2) ** 2))
        filters, responses = [], []
        for scale in range(4):
            log_gabor = np.exp(-(np.log(radius * 3 * 2.1**scale) ** 2) / (2 * np.log(0.55) ** 2)) * butterworth
            log_gabor[0, 0] = 0
            filters.append(log_gabor * spread)
            responses.append(np.fft.ifft2(np.fft.fft2(image) * filters[-1]))
        kernels = [np.real(np.fft.ifft2(k)) * np.sqrt(rows * cols) for k in filters]
        summed = sum(responses)
        norm = np.abs(summed) + 1e-4
        even, odd = summed.real / norm, summed.imag / norm
        energy = sum(z.real * even + z.imag * odd - abs(z.real * odd - z.imag * even) for z in responses)
        noise = -np.median(abs(responses[0]) ** 2) / np.log(0.5) / np.sum(filters[0] ** 2)
        crossed = sum(np.sum(kernels[i] * kernels[j]) for i in range(4) for j in range(i + 1, 4))
        noise_energy = 2 * noise * sum(np.sum(k**2) for k in kernels) + 4 * noise * crossed
        tau = np.sqrt(noise_energy / 2)
        energy = np.maximum(energy - (tau * np.sqrt(np.pi / 2) + 2 * np.sqrt((2 - np.pi / 2) * tau**2)) / 1.7, 0)
        amplitude = sum(map(abs, responses))
        width = amplitude / (np.max([abs(z) for z in responses], 0) + 1e-4) / 4
        energy = energy / (1 + np.exp((0.5 - width) * 10))
        energies, amplitudes = energies + energy, amplitudes + amplitude
        congruency = energy / amplitude
        cxx = cxx + (congruency * np.cos(angle)) ** 2 / 3
        cyy = cyy + (congruency * np.sin(angle)) ** 2 / 3
        cxy = cxy + congruency**2 * np.sin(angle) * np.cos(angle) / 6
    root = np.sqrt(cxy**2 + (cxx - cyy) ** 2) + 1e-4
    return energies / (amplitudes + 1e-4), (cyy + cxx + root) / 2, (cyy + cxx - root) / 2


def direct_mi(f, a, b):
    total = 0.0
    for source in (a, b):
        joint = np.histogram2d(source.ravel(), f.ravel(), bins=256, range=((0, 256), (0, 256)))[0] / f.size
        independent = np.outer(joint.sum(1), joint.sum(0))
        seen = joint > 0
        total += np.sum(joint[seen] * np.log2(joint[seen] / independent[seen]))
    return total


def direct_sd(f, a, b):
    return math.sqrt(np.sum((f - f.sum() / f.size) ** 2) / f.size)


def direct_vif_sum(f, a, b):
    return sum(direct_vif(source, f) for source in (a, b))


def direct_vif(reference, distorted):
    num = den = 0.0
    for size in (17, 9, 5, 3):
        mean = partial(correlate2d, in2=gauss2d(size, size / 5), mode="valid")
        if size < 17:
            reference, distorted = mean(reference)[::2, ::2], mean(distorted)[::2, ::2]
        var_r = np.maximum(mean(reference**2) - mean(reference) ** 2, 0)
        var_d = np.maximum(mean(distorted**2) - mean(distorted) ** 2, 0)
        cov = mean(reference * distorted) - mean(reference) * mean(distorted)
        g = cov / (var_r + 1e-10)
        rest = var_d - g * cov
        g[var_r < 1e-10], rest[var_r < 1e-10] = 0, var_d[var_r < 1e-10]
        var_r[var_r < 1e-10] = 0
        g[var_d < 1e-10], rest[var_d < 1e-10] = 0, 0
        rest[g < 0], g[g < 0] = var_d[g < 0], 0
        rest[rest <= 1e-10] = 1e-10
        num += np.log10(1 + g**2 * var_r / (rest + 2)).sum()
        den += np.log10(1 + var_r / 2).sum()
    return num / den


def direct_en(f, a, b):
    shares = [np.mean(f == level) for level in range(256)]
    return -sum(share * math.log2(share) for share in shares if share)


def direct_sf(f, a, b):
    return math.sqrt(np.mean((f[:, 1:] - f[:, :-1]) ** 2) + np.mean((f[1:] - f[:-1]) ** 2))


def direct_ag(f, a, b):
    dy, dx = np.gradient(f)
    return np.sqrt((dx**2 + dy**2) / 2).sum() / ((f.shape[0] - 1) * (f.shape[1] - 1))


def pearson(x, y):
    return np.corrcoef(x.ravel(), y.ravel())[0, 1]


def direct_cc(f, a, b):
    return (pearson(a, f) + pearson(b, f)) / 2


def direct_scd(f, a, b):
    return pearson(f - b, a) + pearson(f - a, b)


DIRECT = {
    "q_g": direct_q_g,
    "q_m": direct_q_m,
    "q_p": direct_q_p,
    "mi": direct_mi,
    "sd": direct_sd,
    "vif_sum": direct_vif_sum,
    "en": direct_en,
    "sf": direct_sf,
    "ag": direct_ag,
    "cc": direct_cc,
    "scd": direct_scd,
}
#: Relative, where it is not rounding of float64: Q_P's filters answer in float32.
TOLERANCE = {"q_p": 1e-6}


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", DIRECT)
def test_agrees_with_the_definition(scene, name, size) -> None:
    images = scene(*size, seed=sum(size))
    expected = DIRECT[name](*map(grey, images))
    assert score(*images, metrics=[name])[name].item() == pytest.approx(expected, rel=TOLERANCE.get(name, 1e-9))


@pytest.mark.parametrize("name", ["q_g", "q_m", "q_p", "mi", "vif_sum"])
def test_agrees_with_the_definition_where_images_are_partly_flat(scene, name) -> None:
    fused, a, b = scene(64, 61)
    a[..., :25, :], b[..., 15:40, :], fused[..., 15:25, :] = 0, 0.5, 0
    fused[..., 40:, 30:] = 1
    expected = DIRECT[name](*map(grey, (fused, a, b)))
    value = score(fused, a, b, metrics=[name])[name].item()
    assert value == pytest.approx(expected, rel=TOLERANCE.get(name, 1e-8))
