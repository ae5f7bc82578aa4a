import numpy as np
import pytest
import pywt
import torch

from sigforge.core.errors import UserError
from sigforge.methods.registry import get_method

fuse = get_method("swt").fuse


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("wavelet", "levels"), [("haar", 3), ("db2", 2), ("bior2.2", 2)])
def test_agrees_with_pywavelets_on_the_mirrored_image(n, wavelet, levels, random_sources):
    """Reflected to twice its sides the image is periodic without a jump, which is what pywt.swt2 takes it to be."""
    sources = random_sources(n, 1, 1, 64, 48)
    images = np.stack([np.pad(s[0, 0].double().numpy(), ((64, 64), (48, 48)), "symmetric") for s in sources])
    (approximation, *details) = pywt.swt2(images, wavelet, levels, axes=(-2, -1), trim_approx=True)
    strongest = lambda band: np.take_along_axis(band, np.abs(band).argmax(0)[None], 0)[0]  # noqa: E731
    coefficients = [approximation.mean(0), *(tuple(map(strongest, level)) for level in details)]
    expected = pywt.iswt2(coefficients, wavelet)[64:128, 48:96].clip(0, 1)
    np.testing.assert_allclose(fuse(*sources, wavelet=wavelet, levels=levels)[0, 0], expected, atol=1e-5)


def test_shifting_the_sources_shifts_the_result(focus):
    """What the decimated transform does not do, and why this one exists."""
    shifted = fuse(focus.near[..., 3:, 5:], focus.far[..., 3:, 5:])
    inside = (..., slice(40, -40), slice(40, -40))
    torch.testing.assert_close(shifted[inside], fuse(focus.near, focus.far)[..., 3:, 5:][inside], atol=1e-5, rtol=0)
    dwt = get_method("dwt").fuse
    moved = dwt(focus.near[..., 3:, 5:], focus.far[..., 3:, 5:])[inside]
    assert (moved - dwt(focus.near, focus.far)[..., 3:, 5:][inside]).abs().max() > 0.01


def test_an_unknown_wavelet_is_named(camera):
    with pytest.raises(UserError, match="wavelet='harr'"):
        fuse(camera, camera, wavelet="harr")
