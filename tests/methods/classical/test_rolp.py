import itertools

import numpy as np
import pytest

from sigforge.methods.registry import get_method

fuse = get_method("rolp").fuse


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("levels", "offset"), [(2, 0.02), (4, 0.1)])
def test_agrees_with_the_method_written_out(n, levels, offset, random_sources, burt):
    sources = random_sources(n, 1, 1, 61, 83)
    gaussians = [burt.analyse(s[0, 0].double().numpy() + offset, levels, 0.4)[0] for s in sources]
    ratios = [
        [fine / burt.expand(coarse, fine.shape, 0.4) for fine, coarse in itertools.pairwise(pyramid)]
        for pyramid in gaussians
    ]
    image = np.mean([pyramid[-1] for pyramid in gaussians], 0)
    for level in zip(*(reversed(r) for r in ratios), strict=True):
        stack = np.stack(level)
        chosen = np.take_along_axis(stack, np.abs(stack - 1).argmax(0)[None], 0)[0]
        image = chosen * burt.expand(image, chosen.shape, 0.4)
    fused = fuse(*sources, levels=levels, offset=offset)
    np.testing.assert_allclose(fused[0, 0], (image - offset).clip(0, 1), atol=2e-5)


def test_restores_a_two_focus_pair(focus, psnr):
    mean = get_method("mean").fuse(focus.near, focus.far)
    assert psnr(fuse(focus.near, focus.far), focus.sharp) > psnr(mean, focus.sharp) + 5
