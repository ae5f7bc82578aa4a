import math
import warnings

import pytest
import torch

from components.errors import UserError
from components.metrics import PAPER, get_metric, list_metrics, score
from components.metrics.phase_congruency import _median

ALL = list_metrics()
SYMMETRIC = [name for name in ALL if name != "q_g"]


def noisy(image, sigma):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    return (image + sigma * noise).clamp(0, 1)


def test_answers_the_papers_six_by_default(scene) -> None:
    result = score(*scene(batch=2))
    assert tuple(result) == PAPER
    assert all(value.shape == (2,) and value.dtype == torch.float64 for value in result.values())
    assert all(torch.isfinite(value).all() for value in result.values())


def test_values_lie_in_the_declared_range(scene) -> None:
    for seed in range(3):
        for name, value in score(*scene(batch=2, seed=seed), ALL).items():
            low, high = get_metric(name).range
            assert low <= value.min() and value.max() <= high, name


@pytest.mark.parametrize("size", [(64, 64), (45, 51)])
def test_a_batch_scores_like_its_images(scene, size) -> None:
    images = scene(*size, batch=3)
    together = score(*images, ALL)
    for index in range(3):
        alone = score(*(image[index : index + 1] for image in images), ALL)
        for name in ALL:
            torch.testing.assert_close(together[name][index : index + 1], alone[name], rtol=1e-12, atol=1e-12)


def test_large_batches_are_transformed_in_chunks(scene, monkeypatch) -> None:
    images = scene(batch=2)
    whole = score(*images, ["q_p"])["q_p"]
    monkeypatch.setattr("components.metrics.phase_congruency._PIXELS_AT_ONCE", 64 * 64)
    torch.testing.assert_close(score(*images, ["q_p"])["q_p"], whole, rtol=1e-12, atol=0)


def test_a_metric_scores_the_same_alone_and_in_company(scene) -> None:
    images = scene()
    together = score(*images, ALL)
    for name in ALL:
        torch.testing.assert_close(score(*images, [name])[name], together[name], rtol=0, atol=0)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_order_of_the_sources_does_not_matter(scene, name) -> None:
    fused, a, b = scene(47, 64)
    torch.testing.assert_close(score(fused, a, b, [name])[name], score(fused, b, a, [name])[name], rtol=1e-12, atol=0)


def test_q_g_is_nearly_symmetric(scene) -> None:
    fused, a, b = scene()
    assert score(fused, a, b, ["q_g"])["q_g"].item() == pytest.approx(score(fused, b, a, ["q_g"])["q_g"].item(), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "best"),
    [("q_g", 0.9866590924049), ("q_m", 3.0), ("vif_sum", 2.0), ("cc", 1.0)],
)
def test_identical_images_score_the_best_value(scene, name, best) -> None:
    texture = scene(61, 50)[1]
    assert score(texture, texture, texture, [name])[name].item() == pytest.approx(best, rel=1e-9)


def test_q_p_of_identical_images_misses_one_by_the_unmasked_fused_maps(scene) -> None:
    fused, a, b = scene(61, 50)
    identical = score(a, a, a, ["q_p"])["q_p"]
    assert max(score(fused, a, b, ["q_p"])["q_p"], 0.8) < identical < 1


def test_identical_images_share_all_their_information(scene) -> None:
    texture = scene()[1]
    result = score(texture, texture, texture, ["mi", "en"])
    torch.testing.assert_close(result["mi"], 2 * result["en"])


@pytest.mark.parametrize("name", ["q_g", "q_m", "q_p", "vif_sum", "cc"])
def test_noise_on_the_fused_image_lowers_the_score(scene, name) -> None:
    fused, a, b = scene(96, 96)
    values = [score(noisy(fused, sigma), a, b, [name])[name].item() for sigma in (0, 0.01, 0.05, 0.2)]
    assert values == sorted(values, reverse=True) and len(set(values)) == 4


def test_noise_on_the_fused_image_lowers_the_information(scene) -> None:
    # Eight levels: with 256, a histogram of 96x96 pixels is too sparse, and noise would look like information.
    fused, a, b = (image.mul(7).round().div(7) for image in scene(96, 96))
    values = [score(noisy(fused, s).mul(7).round().div(7), a, b, ["mi"])["mi"].item() for s in (0, 0.05, 0.1, 0.2)]
    assert values == sorted(values, reverse=True) and len(set(values)) == 4


@pytest.mark.parametrize("name", ["sd", "sf", "ag"])
def test_stretching_the_contrast_raises_the_score(scene, name) -> None:
    fused, a, b = scene()
    weak = (fused - 0.5) * 0.5 + 0.5
    assert score(weak, a, b, [name])[name] < 0.52 * score(fused, a, b, [name])[name]


@pytest.mark.parametrize("level", [0.0, 0.3, 77 / 255, 1.0])
@pytest.mark.parametrize("size", [(64, 64), (45, 51)])
def test_constant_images_have_the_documented_values(level, size) -> None:
    flat = torch.full((1, 1, *size), level)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = {name: value.item() for name, value in score(flat, flat, flat, ALL).items()}
    assert result["q_g"] == pytest.approx(get_metric("q_g").range[1])
    assert [result[name] for name in ("mi", "en", "sd", "sf", "ag")] == [0] * 5
    assert all(math.isnan(result[name]) for name in ("q_m", "q_p", "vif_sum", "cc", "scd"))


def test_a_constant_fused_image_preserves_nothing(scene) -> None:
    _, a, b = scene(51, 64)
    result = score(torch.full_like(a, 0.3), a, b, ALL)
    assert result["vif_sum"] == 0 and abs(result["mi"].item()) < 1e-12
    assert result["q_p"].isnan() and result["cc"].isnan()


def test_a_constant_source_leaves_the_other_to_be_judged(scene) -> None:
    _, a, _ = scene(51, 64)
    result = score(a, a, torch.full_like(a, 0.3), ALL)
    assert result["q_p"].item() == pytest.approx(score(a, a, a, ["q_p"])["q_p"].item(), rel=1e-9)
    assert result["q_m"].item() == pytest.approx(3)
    assert result["vif_sum"].isnan()


def test_only_the_undefined_images_of_a_batch_are_nan(scene) -> None:
    fused, a, b = scene(batch=3)
    for image in (fused, a, b):
        image[1] = 0.5
    for name in ("q_m", "q_p", "vif_sum", "cc", "scd"):
        assert score(fused, a, b, [name])[name].isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 40), (40, 64), (64, 40)])
def test_tiny_images_never_crash(scene, size) -> None:
    result = score(*scene(*size), ALL)
    assert all(value.shape == (1,) for value in result.values())
    assert result["vif_sum"].isnan() and result["sd"].isfinite()
    assert min(size) > 1 or result["q_p"].isnan()


def test_41_pixels_are_enough_for_vif(scene) -> None:
    assert score(*scene(41, 41), ["vif_sum"])["vif_sum"].isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_scores_the_image_that_is_saved(scene, dtype) -> None:
    images = scene()
    # A third of a grey level disappears when the image is rounded to 8 bits, and so does the dtype's own rounding.
    shifted = [(image.double() + 0.3 / 255).clamp(0, 1).to(dtype) for image in images]
    assert score(*shifted) == score(*images)


def test_scoring_changes_nothing_and_keeps_no_graph(scene) -> None:
    images = scene()
    copies = [image.clone() for image in images]
    assert not score(images[0].requires_grad_(), *images[1:])["q_p"].requires_grad
    assert all(torch.equal(image, copy) for image, copy in zip(images, copies, strict=True))


def test_different_shapes_are_refused_and_both_named(scene) -> None:
    fused, a, _ = scene()
    with pytest.raises(ValueError, match=r"b has shape \(1, 1, 64, 60\) but fused has shape \(1, 1, 64, 64\)"):
        score(fused, a, torch.zeros(1, 1, 64, 60))


@pytest.mark.parametrize("shape", [(64, 64), (1, 64, 64), (1, 3, 64, 64), (0, 1, 64, 64)])
def test_shapes_other_than_grey_batches_are_refused(shape) -> None:
    image = torch.zeros(shape)
    with pytest.raises(ValueError, match=r"expected \(B, 1, H, W\)"):
        score(image, image, image)


@pytest.mark.parametrize("bad", [-0.1, 1.2, math.nan, math.inf, 128.0])
def test_values_outside_the_range_are_refused(scene, bad) -> None:
    fused, a, b = scene()
    a[0, 0, 3, 5] = bad
    with pytest.raises(ValueError, match=r"a has values from .* expected \[0, 1\]"):
        score(fused, a, b)


def test_integers_are_refused() -> None:
    image = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    with pytest.raises(ValueError, match="divide 8-bit by 255"):
        score(image, image, image)


def test_an_unknown_metric_is_refused_before_any_work() -> None:
    with pytest.raises(UserError, match="did you mean 'vif_sum'"):
        score(None, None, None, ["sd", "vif_sun"])


def test_the_median_is_matlabs() -> None:
    values = torch.tensor([[3.0, 1.0, 2.0, 10.0], [5.0, 5.0, 5.0, 1.0], [0.0, 0.0, 7.0, 9.0]])
    assert _median(values).tolist() == [2.5, 5.0, 3.5]
    assert _median(values[:, :3]).tolist() == [2.0, 5.0, 0.0]
