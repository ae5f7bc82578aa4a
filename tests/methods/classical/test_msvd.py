import numpy as np
import pytest
import torch

from sigforge.methods.registry import get_method

fuse = get_method("msvd").fuse


def test_agrees_with_the_method_written_out(random_sources):
    """One level: blocks as columns, one rotation for both sources, strongest details, mean of the first component."""
    sources = [s[0, 0].double().numpy() for s in random_sources(2, 1, 1, 12, 10)]
    columns = [s.reshape(6, 2, 5, 2).transpose(1, 3, 0, 2).reshape(4, 30) for s in sources]
    u = np.linalg.svd(np.hstack(columns))[0]
    rotated = np.stack([u.T @ x for x in columns])
    fused = np.take_along_axis(rotated, np.abs(rotated).argmax(0)[None], 0)[0]
    fused[0] = rotated[:, 0].mean(0)
    expected = (u @ fused).reshape(2, 2, 6, 5).transpose(2, 0, 3, 1).reshape(12, 10).clip(0, 1)
    np.testing.assert_allclose(fuse(*random_sources(2, 1, 1, 12, 10))[0, 0], expected, atol=1e-6)


def test_restores_a_two_focus_pair_the_better_the_deeper(focus, psnr):
    mean = get_method("mean").fuse(focus.near, focus.far)
    scores = [psnr(fuse(focus.near, focus.far, levels=levels), focus.sharp) for levels in (1, 2, 3)]
    assert psnr(mean, focus.sharp) + 1 < scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize("levels", [1, 4, 50])
def test_any_depth_gives_a_constant_difference_back(levels, camera):
    """Sources that differ by a constant share all details, so that the result is their mean."""
    a, b = 0.2 + 0.5 * camera, 0.3 + 0.5 * camera
    torch.testing.assert_close(fuse(a, b, levels=levels), (a + b) / 2, atol=0.02, rtol=0)
