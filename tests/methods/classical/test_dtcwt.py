import pytest
import torch

from sigforge.methods.classical import dtcwt
from sigforge.methods.classical.wavelets import decimate
from sigforge.methods.registry import get_method

fuse = get_method("dtcwt").fuse


def details(signal, depth):
    """Complex detail coefficients of a 1-D signal at a depth, by the filters of the two trees."""
    bands = []
    for tree in range(2):
        band = signal
        for level in range(depth):
            low, high = dtcwt._bank(tree, first=level == 0)
            band = decimate(band, high if level == depth - 1 else low, -1)
        bands.append(band)
    return torch.complex(*bands)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_energy_hardly_depends_on_where_a_step_is(depth):
    """The point of the dual tree; one tree alone, a plain wavelet transform, swings by four times as much."""
    steps = torch.stack([(torch.arange(512) >= 200 + shift).double() for shift in range(2**depth)])
    edge = 200 >> depth
    band = details(steps, depth)[:, max(edge - 12, 0) : edge + 8]
    swing = lambda energy: float((energy.max() - energy.min()) / energy.mean())  # noqa: E731
    assert swing(band.abs().square().sum(-1)) < 0.4
    assert swing(band.real.square().sum(-1)) > 1.2


@pytest.mark.parametrize("depth", [2, 3])
def test_the_complex_wavelet_has_one_sided_spectrum(depth):
    response = torch.stack([details(row, depth)[8] for row in torch.eye(256, dtype=torch.float64)])
    power = torch.fft.fft(response).abs().square()
    halves = sorted([float(power[1:128].sum()), float(power[129:].sum())])
    assert halves[0] < 0.03 * halves[1]


def test_choosing_turns_trees_into_orientations_and_back():
    trees = torch.rand(2, 2, 1, 5, 6, generator=torch.Generator().manual_seed(0))
    back = dtcwt._strongest([[trees[r, c] for c in range(2)] for r in range(2)])
    for row in range(2):
        for column in range(2):
            torch.testing.assert_close(back[row][column], trees[row, column, 0])


def test_restores_a_two_focus_pair_better_than_the_plain_transform(focus, psnr):
    plain = get_method("dwt").fuse(focus.near, focus.far)
    assert psnr(fuse(focus.near, focus.far), focus.sharp) > psnr(plain, focus.sharp)
