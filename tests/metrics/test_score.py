import importlib
import math

import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.metrics import PAPER, list_metrics, score, select_metrics
from sigforge.metrics.phase_congruency import _median

ALL = [entry.name for entry in select_metrics("all")]
#: Metrics on float32 distributions.
SINGLE = {name for name in ALL if name.startswith("fmi")}


def test_answers_the_papers_six_by_default(scene) -> None:
    result = score(*scene(batch=2))
    assert tuple(result) == PAPER
    assert all(value.shape == (2,) and value.dtype == torch.float64 for value in result.values())
    assert all(torch.isfinite(value).all() for value in result.values())


@pytest.mark.parametrize("size", [(64, 64), (45, 51)])
def test_a_batch_scores_like_its_images(scene, size) -> None:
    images = scene(*size, batch=3)
    together = score(*images, metrics="all")
    for index in range(3):
        alone = score(*(image[index : index + 1] for image in images), metrics="all")
        for name in ALL:
            expected, rtol = together[name][index : index + 1], 1e-6 if name in SINGLE else 1e-11
            torch.testing.assert_close(alone[name], expected, rtol=rtol, atol=1e-11, equal_nan=True)


def test_large_batches_are_scored_in_parts(scene, monkeypatch) -> None:
    images = scene(batch=3)
    names = ["sd", "q_g", "ssim_ref"]
    whole = score(*images, metrics=names, reference=images[1])
    # The package's attribute of this name is the function.
    module = importlib.import_module("sigforge.metrics.score")
    monkeypatch.setattr(module, "_PIXELS_AT_ONCE", (2 * 64 * 64, 0))
    parts = score(*images, metrics=names, reference=images[1])
    for name in names:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-12, atol=0)


def test_large_stacks_are_transformed_in_parts(scene, monkeypatch) -> None:
    images = scene(batch=2)
    whole = score(*images, metrics=["q_p"])["q_p"]
    monkeypatch.setattr("sigforge.metrics.phase_congruency._PIXELS_AT_ONCE", 64 * 64)
    torch.testing.assert_close(score(*images, metrics=["q_p"])["q_p"], whole, rtol=1e-6, atol=0)


def test_a_metric_scores_the_same_alone_and_in_company(scene) -> None:
    images = scene()
    together = score(*images, metrics=ALL)
    for name in ALL:
        torch.testing.assert_close(score(*images, metrics=[name])[name], together[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("metrics", ["paper", PAPER, iter(PAPER), "q_g,q_m,q_p,mi,sd,vif_sum"], ids=repr)
def test_names_come_as_words_or_lists(scene, metrics) -> None:
    assert tuple(score(*scene(), metrics=metrics)) == PAPER


def test_all_is_every_metric_that_needs_no_reference(scene) -> None:
    images = scene()
    assert set(list_metrics()) - set(score(*images, metrics="all")) == {"mse_ref", "psnr_ref", "ssim_ref"}
    assert set(score(*images, metrics="all", reference=images[0])) == set(list_metrics())


def test_the_reference_is_what_the_fused_image_is_compared_with(scene) -> None:
    fused, a, b = scene()
    names = ["mse_ref", "psnr_ref", "ssim_ref"]
    equal, other = (score(fused, a, b, metrics=names, reference=true) for true in (fused, a))
    assert [value.item() for value in equal.values()] == [0, math.inf, 1]
    error = (fused - a).double().square().mean().item()
    assert other["mse_ref"].item() == pytest.approx(error, rel=1e-6)
    assert other["psnr_ref"].item() == pytest.approx(-10 * math.log10(error), rel=1e-6)
    assert other["ssim_ref"].item() == pytest.approx(score(fused, a, a, metrics="ssim_mean")["ssim_mean"].item())


def test_a_third_source_takes_part(scene) -> None:
    fused, a, b = scene(170, 165)
    third = 0.5 * b + 0.5 * scene(170, 165, seed=5)[1]
    names = [entry.name for entry in select_metrics("all", sources=3)]
    three, two = score(fused, a, b, third, metrics="all"), score(fused, a, b, metrics=names)
    assert list(three) == names
    blind = {"sd", "sd_tang2022", "en", "sf", "sf_vifb", "ag", "ag_cddfuse", "ei"}
    for name in names:
        same = name in blind or name.endswith(("_a", "_b"))
        assert three[name].isfinite() and (
            torch.isclose(three[name], two[name], rtol=1e-6) == same or name.endswith("_min")
        ), name


@pytest.mark.parametrize("name", ["q_g", "q_m", "cc", "vif", "ssim_mean", "mse", "fmi_symmetric", "q_cv"])
def test_the_mean_over_sources_does_not_mind_all_of_them_twice(scene, name) -> None:
    fused, a, b = scene()
    twice, once = (score(fused, *sources, metrics=[name])[name] for sources in ((a, b, a, b), (a, b)))
    torch.testing.assert_close(twice, once, rtol=1e-3 if name == "q_g" else 1e-6, atol=0)


def test_sums_over_sources_grow_with_their_number(scene) -> None:
    fused, a, b = scene()
    names = ["mi", "q_mi", "vif_sum", "ssim_sum"]
    twice, once = score(fused, a, b, a, b, metrics=names), score(fused, a, b, metrics=names)
    for name in names:
        torch.testing.assert_close(twice[name], 2 * once[name])


def test_a_metric_of_pairs_refuses_a_third_source(scene) -> None:
    fused, a, b = scene()
    with pytest.raises(UserError, match="'scd' is defined for two sources, not 3"):
        score(fused, a, b, b, metrics=["scd"])


def test_a_constant_fused_image_preserves_nothing(scene) -> None:
    _, a, b = scene(51, 64)
    result = score(torch.full_like(a, 0.3), a, b, metrics=ALL)
    assert result["vif_sum"] == 0 and abs(result["mi"].item()) < 1e-12
    assert result["q_p"].isnan() and result["cc"].isnan()


def test_a_constant_source_leaves_the_other_to_be_judged(scene) -> None:
    _, a, _ = scene(51, 64)
    result = score(a, a, torch.full_like(a, 0.3), metrics=ALL)
    assert result["q_p"].item() == pytest.approx(score(a, a, a, metrics=["q_p"])["q_p"].item(), rel=1e-9)
    assert result["q_m"].item() == pytest.approx(3)
    assert result["vif_sum"].isnan()


def test_only_the_undefined_images_of_a_batch_are_nan(scene) -> None:
    fused, a, b = scene(batch=3)
    for image in (fused, a, b):
        image[1] = 0.5
    for name in ("q_m", "q_p", "vif_sum", "cc", "scd", "q_cb", "q_w", "q_te"):
        assert score(fused, a, b, metrics=[name])[name].isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 40), (40, 64), (64, 40)])
def test_tiny_images_never_crash(scene, size) -> None:
    result = score(*scene(*size), metrics=ALL)
    assert all(value.shape == (1,) for value in result.values())
    assert result["vif_sum"].isnan() and result["sd"].isfinite()
    assert min(size) > 1 or result["q_p"].isnan()


def test_41_pixels_are_enough_for_vif(scene) -> None:
    assert score(*scene(41, 41), metrics=["vif_sum"])["vif_sum"].isfinite()


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


@pytest.mark.parametrize("bad", [-0.1, 1.2, math.inf, 128.0])
def test_values_outside_the_range_are_refused(scene, bad) -> None:
    fused, a, b = scene()
    a[0, 0, 3, 5] = bad
    with pytest.raises(ValueError, match=r"a has values from .* expected \[0, 1\]"):
        score(fused, a, b)


@pytest.mark.parametrize("position", range(5))
def test_nan_pixels_are_refused_by_name(scene, position) -> None:
    images = [image.clone() for image in (*scene(), scene()[1], scene()[2])]
    images[position][0, 0, 3, 5] = math.nan
    *sources, reference = images
    name = ("fused", "a", "b", "source 3", "reference")[position]
    with pytest.raises(ValueError, match=f"^{name} has 1 NaN pixels"):
        score(*sources, reference=reference)


def test_integers_are_refused() -> None:
    image = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    with pytest.raises(ValueError, match="divide 8-bit by 255"):
        score(image, image, image)


def test_an_unknown_metric_is_refused_before_any_work() -> None:
    with pytest.raises(UserError, match="did you mean 'vif_sum'"):
        score(None, None, None, metrics=["sd", "vif_sun"])


def test_the_median_is_matlabs() -> None:
    values = torch.tensor([[3.0, 1.0, 2.0, 10.0], [5.0, 5.0, 5.0, 1.0], [0.0, 0.0, 7.0, 9.0]])
    assert _median(values).tolist() == [2.5, 5.0, 3.5]
    assert _median(values[:, :3]).tolist() == [2.0, 5.0, 0.0]
