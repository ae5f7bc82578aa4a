import numpy as np
import torch
from scipy import ndimage

from sigforge.methods.classical.eol import laplacian
from sigforge.methods.registry import get_method

fuse = get_method("eol").fuse


def test_the_laplacian_is_the_papers(camera):
    mask = [[-1, -4, -1], [-4, 20, -4], [-1, -4, -1]]
    expected = ndimage.correlate(camera[0, 0].double().numpy(), np.array(mask), mode="nearest")
    response = laplacian(camera)[0, 0]
    np.testing.assert_allclose(response, expected, atol=5e-5)
    assert float(laplacian(torch.full((9, 9), 0.7)).abs().max()) == 0


def test_every_pixel_is_one_of_the_sources_and_the_right_one(focus):
    fused, seam = fuse(focus.near, focus.far), focus.sharp.shape[-1] // 2
    assert bool(((fused == focus.near) | (fused == focus.far)).all())
    away = torch.cat((torch.arange(seam - 12), torch.arange(seam + 12, focus.sharp.shape[-1])))
    assert float((fused == focus.sharp)[..., away].float().mean()) > 0.97


def test_is_the_best_on_a_two_focus_pair(focus, psnr):
    assert psnr(fuse(focus.near, focus.far), focus.sharp) > psnr(
        get_method("dwt").fuse(focus.near, focus.far), focus.sharp
    )


def test_a_lone_decision_is_outvoted(camera):
    """A speck of strong contrast in the blurred source does not cut a hole of the size of the window."""
    sharp, blurred = camera, torch.full_like(camera, 0.5)
    blurred[..., 80, 80] = 1.0
    kept = fuse(sharp, blurred, window_radius=1, majority_radius=7)
    assert torch.equal(kept, sharp)


def test_three_focal_planes(camera):
    blurred = torch.from_numpy(ndimage.gaussian_filter(camera.numpy(), (0, 0, 2, 2)))
    part = torch.arange(camera.shape[-1]) * 3 // camera.shape[-1]
    sources = [camera.where(part == index, blurred) for index in range(3)]
    assert float((fuse(*sources) == camera).float().mean()) > 0.8
