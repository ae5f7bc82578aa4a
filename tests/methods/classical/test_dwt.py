import numpy as np
import pytest
import pywt
import torch

from sigforge.core.errors import UserError
from sigforge.methods.registry import get_method


@pytest.mark.parametrize("size", [(61, 83), (64, 48)], ids=str)
@pytest.mark.parametrize(
    ("wavelet", "levels", "mode"),
    [("db4", 2, "symmetric"), ("haar", 3, "symmetric"), ("bior4.4", 2, "reflect"), ("db2", 3, "periodization")],
)
def test_agrees_with_a_direct_evaluation(size, wavelet, levels, mode, random_sources):
    images = random_sources(2, 1, 1, *size)
    a, b = (pywt.wavedec2(image[0, 0].double().numpy(), wavelet, mode, levels) for image in images)
    pick = lambda x, y: np.where(np.abs(x) > np.abs(y), x, y)  # noqa: E731
    fused = [(a[0] + b[0]) / 2, *(tuple(map(pick, x, y)) for x, y in zip(a[1:], b[1:], strict=True))]
    expected = pywt.waverec2(fused, wavelet, mode)[: size[0], : size[1]].clip(0, 1)
    result = get_method("dwt").fuse(*images, wavelet=wavelet, levels=levels, mode=mode)
    np.testing.assert_allclose(result[0, 0], expected, atol=1e-5)


def test_depth_stops_where_the_filter_outgrows_the_image(random_sources, recwarn):
    method, (a, b) = get_method("dwt"), random_sources(2, 1, 1, 31, 60)
    assert torch.equal(method.fuse(a, b, levels=9), method.fuse(a, b, levels=2))
    small = random_sources(2, 1, 1, 6, 6)
    assert torch.equal(method.fuse(*small), get_method("mean").fuse(*small))
    assert not recwarn.list


def test_restores_a_two_focus_pair(focus, psnr):
    fused = get_method("dwt").fuse(focus.near, focus.far)
    mean = get_method("mean").fuse(focus.near, focus.far)
    assert psnr(fused, focus.sharp) > psnr(mean, focus.sharp) + 4


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"wavelet": "db99"}, "wavelet='db99'"),
        ({"wavelet": "mexh"}, "discrete"),
        ({"mode": "mirror"}, "symmetric"),
        ({"levels": 0}, "at least 1"),
    ],
    ids=str,
)
def test_options_pywavelets_does_not_know_are_the_users_error(option, match):
    with pytest.raises(UserError, match=match):
        get_method("dwt").fuse(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16), **option)
