"""Scenes and reference arithmetic shared by the tests of the fusion methods."""

import os
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data

REALDATA = Path(os.environ.get("SIGFORGE_REALDATA", Path(__file__).parents[2] / "../shared/data"))


@pytest.fixture(scope="session")
def camera():
    """A real photograph with sides that halve badly: (1, 1, 171, 163) in [0, 1]."""
    return torch.from_numpy(data.camera()[::3, 20:509:3].astype(np.float32) / 255)[None, None]


@pytest.fixture(scope="session")
def focus(camera):
    """The same photograph with its left and its right half out of focus."""
    blurred = torch.from_numpy(ndimage.gaussian_filter(camera.numpy(), (0, 0, 2, 2)))
    left = torch.arange(camera.shape[-1]) < camera.shape[-1] // 2
    return SimpleNamespace(sharp=camera, near=blurred.where(left, camera), far=camera.where(left, blurred))


@pytest.fixture(scope="session")
def random_sources():
    """A function (n, *shape) -> that many seeded noise images with some structure, all different."""

    def make(n, *shape, seed=0):
        noise = torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))
        ramp = torch.linspace(0, 1, shape[-1])
        return tuple(0.5 * noise + 0.5 * ramp)

    return make


@pytest.fixture(scope="session")
def burt():
    """REDUCE and EXPAND written out with scipy in float64: zero insertion instead of the library's polyphase filters."""

    def taps(a):
        return [0.25 - a / 2, 0.25, a, 0.25, 0.25 - a / 2]

    def both(image, kernel, mode):
        return ndimage.correlate1d(ndimage.correlate1d(image, kernel, -2, mode=mode), kernel, -1, mode=mode)

    def reduce(image, a):
        return both(image, taps(a), "reflect")[::2, ::2]

    def expand(image, size, a):
        padded = np.pad(image, 1, mode="edge")
        wide = np.zeros((2 * padded.shape[0], 2 * padded.shape[1]))
        wide[::2, ::2] = 4 * padded
        return both(wide, taps(a), "constant")[2 : 2 + size[0], 2 : 2 + size[1]]

    def analyse(image, levels, a):
        gaussian = [image]
        for _ in range(levels):
            gaussian.append(reduce(gaussian[-1], a))
        details = [g - expand(h, g.shape, a) for g, h in pairwise(gaussian)]
        return gaussian, [*details, gaussian[-1]]

    def synthesise(layers, a):
        image = layers[-1]
        for detail in layers[-2::-1]:
            image = detail + expand(image, detail.shape, a)
        return image

    return SimpleNamespace(reduce=reduce, expand=expand, analyse=analyse, synthesise=synthesise)


@pytest.fixture(scope="session")
def psnr():
    def decibel(image, reference):
        return float(-10 * torch.log10(((image - reference) ** 2).mean()))

    return decibel


@pytest.fixture(scope="session")
def realdata():
    """Folder of real images, else the test is skipped."""
    if not REALDATA.is_dir():
        pytest.skip(f"real images are not at {REALDATA}; set SIGFORGE_REALDATA")
    return REALDATA
