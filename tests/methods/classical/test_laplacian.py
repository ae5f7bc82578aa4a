import numpy as np
import pytest
import torch

from sigforge.methods.registry import get_method


def gradient_energy(image):
    return float((image.diff(dim=-1) ** 2).mean() + (image.diff(dim=-2) ** 2).mean())


@pytest.mark.parametrize("levels", [1, 4])
def test_agrees_with_the_rule_written_out(levels, burt, focus):
    sources = [plane[0, 0].double().numpy() for plane in (focus.near, focus.far)]
    near, far = (burt.analyse(source, levels, 0.4)[1] for source in sources)
    bands = [np.where(np.abs(x) >= np.abs(y), x, y) for x, y in zip(near[:-1], far[:-1], strict=True)]
    expected = burt.synthesise([*bands, (near[-1] + far[-1]) / 2], 0.4).clip(0, 1)
    fused = get_method("laplacian").fuse(focus.near, focus.far, levels=levels)
    np.testing.assert_allclose(fused[0, 0], expected, atol=1e-5)


def test_keeps_more_gradient_than_the_mean_and_nearly_all_of_the_sharp_image(focus):
    energy = {name: gradient_energy(get_method(name).fuse(focus.near, focus.far)) for name in ("laplacian", "mean")}
    assert energy["laplacian"] > 1.3 * energy["mean"]
    assert energy["laplacian"] == pytest.approx(gradient_energy(focus.sharp), rel=0.05)


def test_restores_a_two_focus_pair(focus, psnr):
    fused = get_method("laplacian").fuse(focus.near, focus.far)
    mean = get_method("mean").fuse(focus.near, focus.far)
    assert psnr(fused, focus.sharp) > psnr(mean, focus.sharp) + 6


def test_more_levels_than_the_image_has_are_cut(random_sources):
    a, b = random_sources(2, 1, 1, 9, 30)
    method = get_method("laplacian")
    assert torch.equal(method.fuse(a, b, levels=50), method.fuse(a, b, levels=3))
    assert not torch.allclose(method.fuse(a, b, levels=2), method.fuse(a, b, levels=3))
