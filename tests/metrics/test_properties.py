"""What every metric must do, whatever its formula: over the whole registry."""

import math
import warnings

import pytest
import torch
from torch import Tensor

from sigforge.metrics import get_metric, list_metrics, score, select_metrics
from sigforge.metrics.gradient import _BEST, _BEST_ABF

SIZE = 170, 165
SOURCELESS = ("sd", "sd_tang2022", "en", "sf", "sf_vifb", "ag", "ag_cddfuse", "ei")

PARTS = {stem: [f"{stem}_{part}" for part in ("a", "b", "min")] for stem in "q_g q_m q_p mi vif ssim fmi".split()}

#: Value where fused image, sources and reference are one texture; None where it depends on the texture.
IDENTICAL = {
    **dict.fromkeys(SOURCELESS),
    **dict.fromkeys(("mi", "mi_nats", "mi_tang", "q_te", "q_te_nava", "q_te_cvejic", "q_ncie", "q_p", "qabf")),
    **dict.fromkeys(("ce", "mse", "mse_255", "mse_ref", "rmse_vifb", "nabf", "q_cv", "q_sf"), 0.0),
    **dict.fromkeys(("psnr", "psnr_tang", "psnr_vifb", "psnr_cddfuse", "psnr_ref"), math.inf),
    **dict.fromkeys(("cc", "vif", "viff", "ssim_mean", "ssim_matlab", "ssim_tang", "ssim_ref", "ms_ssim"), 1.0),
    **dict.fromkeys(("mef_ssim", "mef_ms_ssim", "q_cb", "q_s", "q_w", "q_e", "q_y", "q_c", "q_c_clipped"), 1.0),
    **dict.fromkeys(("fmi", "fmi_symmetric", "fmi_gradient", "fmi_gradient_symmetric", "fmi_dct", "fmi_wavelet"), 1.0),
    **dict.fromkeys(("vif_sum", "ssim_sum", "ssim_cddfuse", "ms_ssim_sum", "q_mi"), 2.0),
    **dict.fromkeys(("q_g", *PARTS["q_g"]), _BEST),
    **dict.fromkeys(("q_m", *PARTS["q_m"]), 3.0),
    **dict.fromkeys((*PARTS["vif"], *PARTS["ssim"], *PARTS["fmi"], "ssim_local_min", "balance"), 1.0),
    **dict.fromkeys((*PARTS["mi"], *PARTS["q_p"])),
    **dict.fromkeys(("distance_a", "distance_b"), 0.0),
    # The fused image minus either source is black.
    "scd": math.nan,
}

#: Value where all images are the same constant, as documented; None where the border or level decides.
CONSTANT = IDENTICAL | {
    **dict.fromkeys(SOURCELESS, 0.0),
    **dict.fromkeys(("mi", *PARTS["mi"], "mi_nats", "q_te_cvejic"), 0.0),
    **dict.fromkeys((*PARTS["q_m"], *PARTS["q_p"], *PARTS["vif"]), math.nan),
    **dict.fromkeys(("q_m", "q_p", "q_cb", "q_cv", "q_e", "q_w", "q_mi", "q_sf", "q_te", "q_te_nava"), math.nan),
    **dict.fromkeys(("vif", "vif_sum", "cc", "scd"), math.nan),
    "q_ncie": 1 - math.log2(3) / 8,
}

#: Metrics that no noise can please. The others reward contrast or sparse histograms.
FEARS_NOISE = """q_g qabf q_m vif vif_sum viff cc ssim_sum ssim_mean ssim_matlab ssim_tang ssim_cddfuse ms_ssim
ms_ssim_sum mef_ssim mef_ms_ssim mse mse_255 rmse_vifb psnr psnr_tang psnr_vifb q_s q_w q_e q_cv q_cb fmi fmi_symmetric
fmi_gradient fmi_gradient_symmetric mse_ref psnr_ref ssim_ref q_c_clipped nabf""".split()
FEARS_BLUR = """sf sf_vifb ag ag_cddfuse ei q_sf q_g qabf q_m vif vif_sum viff ssim_sum ssim_mean ssim_matlab mef_ssim
mef_ms_ssim ms_ssim q_s q_w q_e fmi fmi_gradient psnr_ref ssim_ref mse_ref""".split()


def noisy(image: Tensor, sigma: float) -> Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    return (image + sigma * noise).clamp(0, 1)


def blurred(image: Tensor, radius: int) -> Tensor:
    padded = torch.nn.functional.pad(image, (radius,) * 4, mode="reflect")
    return torch.nn.functional.avg_pool2d(padded, 2 * radius + 1, stride=1)


def assert_worse_and_worse(values: list[dict[str, Tensor]], names: list[str]) -> None:
    for name in names:
        entry = get_metric(name)
        sign = 1 if entry.higher_is_better else -1
        numbers = [sign * entry.compared(value[name].item()) for value in values]
        assert numbers == sorted(numbers, reverse=True) and len(set(numbers)) == len(numbers), (name, numbers)


@pytest.fixture(scope="module")
def identical() -> dict[str, Tensor]:
    texture = noisy(blurred(noisy(torch.full((1, 1, *SIZE), 0.5), 0.9), 2), 0.05)
    return score(texture, texture, texture, metrics="all", reference=texture)


@pytest.mark.parametrize("table", [IDENTICAL, CONSTANT], ids=["identical", "constant"])
def test_the_tables_hold_every_metric(table) -> None:
    assert set(table) == set(list_metrics())


@pytest.mark.parametrize("name", [name for name, value in IDENTICAL.items() if value is not None])
def test_identical_images_score_the_stated_value(identical, name) -> None:
    expected = pytest.approx(IDENTICAL[name], rel=1e-6, abs=1e-9, nan_ok=True)
    assert identical[name].item() == expected


def test_identical_images_share_all_their_information(identical) -> None:
    torch.testing.assert_close(identical["mi"], 2 * identical["en"])
    torch.testing.assert_close(identical["q_ncie"], 1 - _spread(identical["en"] / 8))


def _spread(shared: Tensor) -> Tensor:
    """Entropy in base 256 of the eigenvalues of a 3x3 matrix with 1 on the diagonal and ``shared`` elsewhere."""
    shares = torch.stack((1 + 2 * shared, 1 - shared, 1 - shared)) / 3
    return torch.special.entr(shares).sum(0) / math.log(256)


def test_the_best_edges_are_reached_but_for_rounding(identical) -> None:
    # Equal strengths are not a ratio of one in qabf but the strength itself, a million times more than enough.
    assert 0.99 * _BEST_ABF < identical["qabf"].item() <= _BEST_ABF


@pytest.mark.parametrize("level", [0.0, 77 / 255, 1.0])
@pytest.mark.parametrize("size", [SIZE, (45, 51)])
def test_constant_images_have_the_documented_values(level, size) -> None:
    flat = torch.full((1, 1, *size), level)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = score(flat, flat, flat, metrics="all", reference=flat)
    black = {"psnr_cddfuse": math.nan, "qabf": math.nan} if level == 0 else {}
    small = dict.fromkeys(("ms_ssim", "ms_ssim_sum"), math.nan) if size != SIZE else {}
    for name, expected in (CONSTANT | black | small).items():
        if expected is not None:
            assert result[name].item() == pytest.approx(expected, abs=1e-6, nan_ok=True), name


def test_values_lie_in_the_declared_range(scene) -> None:
    fused, a, b = scene(*SIZE)
    flat = torch.full_like(a, 0.4)
    for images in ((fused, a, b), (flat, a, b), (fused, a, flat), (1 - a, a, b), (noisy(a, 0.5), flat, flat)):
        for name, value in score(*images, metrics="all", reference=a).items():
            low, high = get_metric(name).range
            assert value.isnan() or low - 1e-6 <= value.item() <= high + 1e-6, (name, value)


def test_only_the_metrics_that_say_so_mind_the_order_of_the_sources(scene) -> None:
    fused, a, b = scene(*SIZE)
    # Flat and dark parts, where published code treats the second source differently.
    a, fused = a.clone(), fused.clone()
    a[..., :60, :], fused[..., :40, :], fused[..., 20, 20] = 0.0, 0.0, 1 / 255
    one, other = score(fused, a, b, metrics="all"), score(fused, b, a, metrics="all")
    for entry in select_metrics("all"):
        if entry.name.endswith(("_a", "_b")):
            twin = entry.name[:-1] + {"a": "b", "b": "a"}[entry.name[-1]]
            assert one[entry.name].item() == pytest.approx(other[twin].item(), rel=1e-5), entry.name
        elif entry.symmetric:
            torch.testing.assert_close(one[entry.name], other[entry.name], rtol=1e-7, atol=1e-9, equal_nan=True)
        else:
            assert one[entry.name].item() == pytest.approx(other[entry.name].item(), rel=0.1), entry.name


def test_noise_worsens_the_score(scene) -> None:
    fused, a, b = scene(*SIZE)
    levels = (0.01, 0.04, 0.1, 0.25)
    values = [score(noisy(fused, s), a, b, metrics=FEARS_NOISE, reference=fused) for s in levels]
    assert_worse_and_worse(values, FEARS_NOISE)


def test_noise_worsens_the_phase_congruency(scene) -> None:
    # Strong noise has features of its own.
    fused, a, b = scene(96, 96)
    assert_worse_and_worse([score(noisy(fused, s), a, b, metrics="q_p") for s in (0, 0.01, 0.05)], ["q_p"])


def test_blur_worsens_the_score(scene) -> None:
    fused, a, b = scene(*SIZE)
    sharp = torch.maximum(fused, a)
    values = [score(blurred(sharp, r), a, b, metrics=FEARS_BLUR, reference=sharp) for r in (0, 1, 2, 4)]
    assert_worse_and_worse(values, FEARS_BLUR)


def test_noise_lowers_the_information(scene) -> None:
    # Eight levels: with 256, the histogram of a small image is too sparse, and noise would look like information.
    fused, a, b = (image.mul(7).round().div(7) for image in scene(96, 96))
    names = ["mi", "mi_nats", "mi_tang", "q_mi", "q_ncie", "q_te_nava"]
    steps = [noisy(fused, s).mul(7).round().div(7) for s in (0, 0.05, 0.1, 0.2)]
    assert_worse_and_worse([score(step, a, b, metrics=names) for step in steps], names)


def test_stretching_the_contrast_raises_the_activity(scene) -> None:
    fused, a, b = scene()
    strong, weak = (score(image, a, b, metrics=SOURCELESS) for image in (fused, (fused - 0.5) * 0.5 + 0.5))
    for name in set(SOURCELESS) - {"en", "sd_tang2022"}:
        assert weak[name] < 0.52 * strong[name], name
    assert weak["en"] < strong["en"] and weak["sd_tang2022"] < strong["sd_tang2022"]
