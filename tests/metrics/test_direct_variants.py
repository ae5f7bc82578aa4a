"""Variants and newer families against slow, literal NumPy written from the definitions alone, odd sizes included."""

import math

import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.signal import correlate2d
from skimage.metrics import structural_similarity

from sigforge.metrics import score

SIZES = [(64, 64), (47, 53), (45, 60)]
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)


def grey(image):
    return np.rint(image[0, 0].double().numpy() * 255)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def direct_qabf(f, a, b):
    def slopes(image):
        sx, sy = correlate2d(image, -SOBEL, "same"), correlate2d(image, SOBEL.T, "same")
        with np.errstate(all="ignore"):
            return np.hypot(sx, sy), np.where(sx == 0, np.pi / 2, np.arctan(sy / sx))

    (gf, af), top, bottom = slopes(f), 0, 0
    for gs, angle in (slopes(a), slopes(b)):
        with np.errstate(all="ignore"):
            ratio = np.where(gs > gf, gf / gs, np.where(gs == gf, gf, gs / gf))
        alike = 1 - abs(angle - af) / (np.pi / 2)
        quality = 0.9994 * logistic(15 * (ratio - 0.5)) * 0.9879 * logistic(22 * (alike - 0.8))
        top, bottom = top + (quality * gs).sum(), bottom + gs.sum()
    return top / bottom


def direct_nabf(f, a, b):
    def slopes(image):
        gv, gh = correlate(image, SOBEL / 8, mode="mirror"), correlate(image, SOBEL.T / 8, mode="mirror")
        return np.hypot(gv, gh), np.arctan2(gv * np.sign(gh + (gh == 0)), abs(gh))

    (ga, aa), (gb, ab), (gf, af) = map(slopes, (a, b, f))
    total = lost = 0
    for gs, angle in ((ga, aa), (gb, ab)):
        ratio = np.minimum(gs, gf) / np.maximum(np.maximum(gs, gf), 1e-300)
        alike = abs(abs(angle - af) - np.pi / 2) * 2 / np.pi
        kept = np.sqrt(0.9999 * logistic(19 * (ratio - 0.5)) * 0.9995 * logistic(22 * (alike - 0.5)))
        weight = np.where(gs >= 2, gs**1.5, 0.001)
        total, lost = total + weight.sum(), lost + (1 - kept) * weight
    return lost[(gf > ga) & (gf > gb)].sum() / total


def direct_ei(f, a, b):
    return np.hypot(correlate(f, SOBEL, mode="nearest"), correlate(f, SOBEL.T, mode="nearest")).mean()


def direct_sf_vifb(f, a, b):
    return math.sqrt((np.sum(np.diff(f, axis=0) ** 2) + np.sum(np.diff(f, axis=1) ** 2)) / f.size)


def direct_q_sf(f, a, b):
    def directions(x):
        return x[:, 1:] - x[:, :-1], x[1:] - x[:-1], x[1:, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, 1:]

    weights = (1, 1, math.sqrt(0.5), math.sqrt(0.5))
    own = sum(w * np.sum(d**2) for w, d in zip(weights, directions(f), strict=True))
    steepest = [np.maximum(abs(p), abs(q)) for p, q in zip(directions(a), directions(b), strict=True)]
    wished = sum(w * np.sum(d**2) for w, d in zip(weights, steepest, strict=True))
    return (math.sqrt(own) - math.sqrt(wished)) / math.sqrt(wished)


def joint_counts(x, y):
    counts = np.zeros((256, 256))
    np.add.at(counts, (x.astype(int).ravel(), y.astype(int).ravel()), 1)
    return counts / x.size


def bits(p):
    p = p[p > 0]
    return -np.sum(p * np.log2(p))


def direct_mi_nats(f, a, b):
    joints = [joint_counts(s, f) for s in (a, b)]
    return sum(bits(h.sum(0)) + bits(h.sum(1)) - bits(h) for h in joints) * math.log(2)


def direct_mi_tang(f, a, b):
    total = 0
    for source in (a, b):
        overflown = joint_counts(np.minimum(source, 254), np.minimum(f, 254))
        total += bits(joint_counts(source, source)) + bits(joint_counts(f, f)) - bits(overflown)
    return total


def stretch(x):
    return np.floor((x - x.min()) / (x.max() - x.min()) * 255 + 0.5)


def direct_q_mi(f, a, b):
    f, total = stretch(f), 0
    for source in map(stretch, (a, b)):
        h = joint_counts(source, f)
        hx, hf = bits(h.sum(1)), bits(h.sum(0))
        total += 2 * (hx + hf - bits(h)) / (hx + hf)
    return total


def direct_q_ncie(f, a, b):
    images = [stretch(x) for x in (a, b, f)]
    matrix = np.eye(3)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        h = joint_counts(images[i], images[j])
        matrix[i, j] = matrix[j, i] = (bits(h.sum(0)) + bits(h.sum(1)) - bits(h)) / 8
    return 1 - bits(np.linalg.eigvalsh(matrix) / 3) / 8


def tsallis(x, y, q, exchanged):
    h = joint_counts(x, y)
    first, second = (h.sum(0), h.sum(1)) if exchanged else (h.sum(1), h.sum(0))
    total = 0
    for i, j in zip(*np.nonzero(h), strict=True):
        if first[i] * second[j]:
            total += h[i, j] ** q / (first[i] * second[j]) ** (q - 1)
    return (1 - total) / (1 - q)


def direct_q_te(f, a, b, exchanged=True):
    f, a, b = map(stretch, (f, a, b))
    q = 0.43137
    shared, between = tsallis(a, f, q, exchanged) + tsallis(b, f, q, exchanged), tsallis(a, b, q, exchanged)
    return shared / (bits(joint_counts(a, a)) ** q + bits(joint_counts(b, b)) ** q + between)


def direct_q_te_nava(f, a, b):
    return direct_q_te(f, a, b, exchanged=False)


def direct_q_te_cvejic(f, a, b):
    f, a, b = map(stretch, (f, a, b))
    return tsallis(a, f, 1.85, True) + tsallis(b, f, 1.85, True)


def direct_ce(f, a, b):
    pf, total = np.bincount(f.astype(int).ravel(), minlength=256) / f.size, 0
    for source in (a, b):
        ps = np.bincount(source.astype(int).ravel(), minlength=256) / f.size
        both = (ps > 0) & (pf > 0)
        total += np.sum(ps[both] * np.log2(ps[both] / pf[both]))
    return total / 2


def direct_sd_tang2022(f, a, b):
    saturated = np.clip(np.floor(f - f.mean() + 0.5), 0, 255)
    return math.sqrt(np.mean(np.clip(saturated**2, 0, 255)))


def direct_psnr(f, a, b):
    return 10 * math.log10(255**2 / ((np.mean((a - f) ** 2) + np.mean((b - f) ** 2)) / 2))


def direct_psnr_tang(f, a, b):
    return 20 * math.log10(255 / math.sqrt((np.mean((a - f) ** 2) + np.mean((b - f) ** 2)) / 2 / 255**2))


def direct_psnr_cddfuse(f, a, b):
    return 10 * math.log10(f.max() ** 2 / ((np.mean((a - f) ** 2) + np.mean((b - f) ** 2)) / 2))


def direct_rmse_vifb(f, a, b):
    return (np.linalg.norm(a - f) + np.linalg.norm(b - f)) / 2 / f.size


def direct_psnr_vifb(f, a, b):
    return 20 * math.log10(255 / math.sqrt(direct_rmse_vifb(f, a, b)))


def direct_ssim_sum(f, a, b):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return sum(structural_similarity(s, f, **options) for s in (a, b))


def direct_ssim_cddfuse(f, a, b):
    return sum(structural_similarity(s, f, data_range=2) for s in (a, b))


def direct_ssim_matlab(f, a, b, span=255):
    axis = np.arange(-5, 6)
    window = np.exp(-(axis[:, None] ** 2 + axis**2) / 4.5)

    def mean(x):
        return correlate(x, window / window.sum(), mode="nearest")

    total = 0
    for s in (a, b):
        ms, mf = mean(s), mean(f)
        vs, vf, cov = mean(s * s) - ms**2, mean(f * f) - mf**2, mean(s * f) - ms * mf
        c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
        total += np.mean((2 * ms * mf + c1) * (2 * cov + c2) / ((ms**2 + mf**2 + c1) * (vs + vf + c2)))
    return total / 2


def direct_ssim_tang(f, a, b):
    return direct_ssim_matlab(f, a, b, span=1)


DIRECT = {name.removeprefix("direct_"): function for name, function in globals().items() if name.startswith("direct_")}


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", DIRECT)
def test_agrees_with_the_definition(scene, name, size) -> None:
    images = scene(*size, seed=sum(size))
    expected = DIRECT[name](*map(grey, images))
    assert score(*images, metrics=[name])[name].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["qabf", "nabf", "mi_tang", "q_te", "ce", "q_sf", "ei"])
def test_agrees_with_the_definition_where_images_are_partly_flat(scene, name) -> None:
    fused, a, b = scene(64, 61)
    a[..., :25, :], b[..., 15:40, :], fused[..., 15:25, :] = 0, 1, 0
    fused[..., 40:, 30:] = 1
    expected = DIRECT[name](*map(grey, (fused, a, b)))
    assert score(fused, a, b, metrics=[name])[name].item() == pytest.approx(expected, rel=1e-8)
