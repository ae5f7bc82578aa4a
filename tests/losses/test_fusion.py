import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from sigforge.losses.fusion import fusion_terms, intensity_target, sobel_magnitude, ssim, task_weights, weighted


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


def test_sobel_of_a_ramp():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert torch.equal(sobel_magnitude(ramp)[..., 1:-1, 1:-1], torch.full((1, 1, 6, 6), 8.0))


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
    assert float(intensity_target(under, over, "max").mean()) == 1.0
    assert float(intensity_target(under, over, "well_exposed").mean()) < 0.45
