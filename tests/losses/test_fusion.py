import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from sigforge.losses.fusion import (
    FusionLoss,
    LossReading,
    fusion_terms,
    intensity_target,
    ssim,
    strongest_gradient,
    task_weights,
    weighted,
)
from sigforge.signal.gradients import sobel


def random_images(count=3, size=40):
    return torch.rand(count, 1, 1, size, size, generator=torch.Generator().manual_seed(0))


def test_ssim_equals_skimage():
    x, y, _ = random_images()
    y = 0.7 * x + 0.3 * y
    _, full = structural_similarity(
        x[0, 0].numpy(),
        y[0, 0].numpy(),
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert float(ssim(x, y)) == pytest.approx(float(full[5:-5, 5:-5].mean()), abs=1e-5)


def test_terms_against_their_definitions():
    fused, a, b = random_images()
    terms = fusion_terms(fused, a, b)
    f, p, q = (x.numpy() for x in (fused, a, b))
    assert float(terms["mse"]) == pytest.approx((((f - p) ** 2).mean() + ((f - q) ** 2).mean()) / 2, rel=1e-5)
    assert float(terms["max"]) == pytest.approx(np.abs(f - np.maximum(p, q)).mean(), rel=1e-5)


def test_ideal_fusions_score_zero():
    _, a, b = random_images()
    bright = torch.maximum(a, b)
    assert float(fusion_terms(bright, a, b)["max"]) == 0
    same = fusion_terms(a, a, a)
    assert all(float(value) == pytest.approx(0, abs=1e-6) for value in same.values())


@pytest.mark.parametrize(("task", "names"), [("vif", {"mse", "ssim", "max", "grad"}), ("mef", {"ssim", "max", "grad"})])
def test_weights_are_the_papers(task, names):
    weights = task_weights(task)
    assert set(weights) == names and weights["max"] == weights["grad"] == 10 and weights["ssim"] == 1
    assert weights.get("mse", 2) == 2


def test_weighted_is_their_sum():
    terms = {"a": torch.tensor(2.0), "b": torch.tensor(3.0), "unused": torch.tensor(100.0)}
    assert float(weighted(terms, {"a": 1.0, "b": 10.0})) == 32


def test_well_exposed_target_avoids_the_overexposed():
    under, over = torch.full((1, 1, 4, 4), 0.4), torch.full((1, 1, 4, 4), 1.0)
    assert float(intensity_target("max", under, over).mean()) == 1.0
    assert float(intensity_target("well_exposed", under, over).mean()) < 0.45


def test_the_sharper_source_is_taken_where_it_is_sharp():
    stripes = (torch.arange(40) % 4 < 2).float().expand(1, 1, 40, 40)
    flat = torch.full((1, 1, 40, 40), 0.5)
    left, right = stripes.clone(), stripes.clone()
    left[..., 20:], right[..., :20] = flat[..., 20:], flat[..., :20]
    target = intensity_target("sharper", left, right)
    torch.testing.assert_close(target[..., :14], stripes[..., :14])
    torch.testing.assert_close(target[..., 26:], stripes[..., 26:])


def test_signed_gradients_tell_a_negative_from_the_source():
    _, a, _ = random_images()
    unsigned, signed = (
        float(fusion_terms(1 - a, a, a, reading=LossReading(gradient=kind))["grad"]) for kind in ("unsigned", "signed")
    )
    assert unsigned == pytest.approx(0, abs=1e-5) and signed > 1


def test_the_strongest_gradient_keeps_sign_and_direction():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8) / 8
    target = strongest_gradient(torch.stack([-ramp, 0.5 * ramp.mT]))
    assert torch.equal(target[:, 0], sobel(-ramp)[:, 0]) and torch.equal(target[:, 1], sobel(0.5 * ramp.mT)[:, 1])


def test_both_sees_the_source_that_is_lost():
    copied, mixed = (
        float(fusion_terms(fused, a, b, names=["both"])["both"])
        for _, a, b in [random_images(size=64)]
        for fused in (a, (a + b) / 2)
    )
    assert copied > mixed + 0.05


def test_mse_to_the_target_is_zero_for_it():
    _, a, b = random_images()
    mean = (a + b) / 2
    reading = LossReading(intensity="mean", mse="intensity")
    assert float(fusion_terms(mean, a, b, reading=reading, names=["mse"])["mse"]) == 0


def test_any_number_of_sources_and_only_the_terms_with_a_weight():
    fused, *sources = random_images(4)
    total, terms = FusionLoss(weights={"ssim": 2.0, "grad": 0.0, "both": 1.0})(fused, sources)
    assert set(terms) == {"ssim", "both"}
    assert float(total) == pytest.approx(2 * float(terms["ssim"]) + float(terms["both"]))


@pytest.mark.parametrize("gradient", ["unsigned", "signed"])
@pytest.mark.parametrize("intensity", ["max", "mean", "sharper", "well_exposed"])
def test_gradients_of_flat_images_are_finite(gradient, intensity):
    fused = torch.full((1, 1, 32, 32), 0.3, requires_grad=True)
    a, b = torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    reading = LossReading(gradient, intensity)
    total, _ = FusionLoss(reading, {"mse": 1, "ssim": 1, "max": 1, "grad": 1, "both": 1})(fused, [a, b])
    total.backward()
    assert torch.isfinite(total) and torch.isfinite(fused.grad).all()
