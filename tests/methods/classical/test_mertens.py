import numpy as np
import pytest
import torch
from scipy import ndimage

from sigforge.methods.registry import get_method


@pytest.fixture(scope="module")
def exposures(camera):
    """The photograph stopped down and up until shadows and highlights clip."""
    return [(camera * gain).clamp(0, 1) for gain in (0.3, 1.0, 3.0)]


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("omega_c", "omega_e", "sigma"), [(1.0, 1.0, 0.2), (0.5, 2.0, 0.3)])
def test_agrees_with_the_method_written_out(n, omega_c, omega_e, sigma, exposures, burt):
    images = np.stack([plane[0, 0].double().numpy() for plane in exposures[:n]])
    mask = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    contrast = np.stack([np.abs(ndimage.correlate(image, mask, mode="nearest")) for image in images])
    contrast[contrast < 1e-6] = 0  # float32 rounding of the exposures
    weights = contrast**omega_c * np.exp(-((images - 0.5) ** 2) / (2 * sigma**2)) ** omega_e + 1e-12
    weights /= weights.sum(0)
    levels = int(np.log2(min(images[0].shape))) - 1
    layers = [
        [
            g * d
            for g, d in zip(burt.analyse(weight, levels, 0.375)[0], burt.analyse(image, levels, 0.375)[1], strict=True)
        ]
        for weight, image in zip(weights, images, strict=True)
    ]
    expected = burt.synthesise([sum(level) for level in zip(*layers, strict=True)], 0.375).clip(0, 1)
    fused = get_method("mertens").fuse(*exposures[:n], omega_c=omega_c, omega_e=omega_e, sigma=sigma)
    np.testing.assert_allclose(fused[0, 0], expected, atol=1e-4)


def test_each_half_comes_from_the_exposure_that_shows_it(camera):
    """Left is clipped to white in one source, right to black in the other; the seam itself is blended over all scales."""
    scene = 0.3 + 0.4 * camera
    width = camera.shape[-1]
    left = torch.arange(width) < width // 2
    over, under = torch.ones_like(scene).where(left, scene), scene.where(left, torch.zeros_like(scene))
    fused, mean = get_method("mertens").fuse(under, over), get_method("mean").fuse(under, over)
    sides = torch.cat((torch.arange(width // 5), torch.arange(width - width // 5, width)))
    error = lambda image: float((image - scene)[..., sides].abs().mean())  # noqa: E731
    assert error(fused) < 0.4 * error(mean)
    texture = lambda image: float(image.diff(dim=-2).abs().mean())  # noqa: E731
    assert texture(fused) == pytest.approx(texture(scene), rel=0.05)
    assert texture(mean) < 0.6 * texture(scene)


def test_a_black_frame_adds_nothing(camera):
    scene = 0.3 + 0.4 * camera
    fused = get_method("mertens").fuse(torch.zeros_like(scene), scene)
    assert (fused - scene).abs().mean() < 0.03
    assert (get_method("mean").fuse(torch.zeros_like(scene), scene) - scene).abs().mean() > 0.2


def test_exposedness_alone_prefers_middle_grey():
    dark, middle = torch.full((1, 1, 16, 16), 0.1), torch.full((1, 1, 16, 16), 0.5)
    fused = get_method("mertens").fuse(dark, middle, omega_c=0.0)
    weight = 1 / (1 + np.exp(-((0.1 - 0.5) ** 2) / (2 * 0.2**2)))
    torch.testing.assert_close(fused, torch.full_like(fused, weight * 0.5 + (1 - weight) * 0.1))


def test_both_measures_off_is_the_mean(exposures):
    fused = get_method("mertens").fuse(*exposures, omega_c=0.0, omega_e=0.0)
    torch.testing.assert_close(fused, get_method("mean").fuse(*exposures), atol=1e-5, rtol=0)
