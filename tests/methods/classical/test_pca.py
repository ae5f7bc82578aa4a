import numpy as np
import pytest
import torch
from skimage import data

from sigforge.methods.registry import get_method

fuse = get_method("pca").fuse


def plane(values):
    return torch.as_tensor(np.asarray(values, np.float32))[None, None]


def test_weights_are_those_of_the_covariance(camera):
    coins = plane(data.coins()[:171, :163] / 255)
    covariance = np.cov(np.stack([camera.flatten(), coins.flatten()]))
    leading = np.abs(np.linalg.eigh(covariance)[1][:, -1])
    expected = (leading[0] * camera + leading[1] * coins) / leading.sum()
    torch.testing.assert_close(fuse(camera, coins), expected.float(), atol=1e-6, rtol=0)


def test_a_flat_source_has_no_say(camera):
    torch.testing.assert_close(fuse(camera, torch.full_like(camera, 0.4), torch.zeros_like(camera)), camera)


def test_sources_without_contrast_share(camera):
    fused = fuse(torch.full_like(camera, 0.2), torch.full_like(camera, 0.4), torch.full_like(camera, 0.9))
    torch.testing.assert_close(fused, torch.full_like(camera, 0.5))


def test_a_negative_does_not_take_the_result_out_of_range(camera):
    """The plain rule divides by the sum of the eigenvector, which is zero here."""
    torch.testing.assert_close(fuse(camera, 1 - camera), torch.full_like(camera, 0.5), atol=1e-5, rtol=0)


@pytest.mark.parametrize("gain", [0.25, 0.5])
def test_weights_go_with_contrast(gain, camera):
    weak = 0.5 + gain * (camera - 0.5)
    torch.testing.assert_close(fuse(camera, weak), (camera + gain * weak) / (1 + gain), atol=1e-5, rtol=0)
