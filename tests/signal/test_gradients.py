import torch

from sigforge.signal.gradients import sobel, sobel_magnitude


def test_sobel_of_a_ramp():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert torch.equal(sobel_magnitude(ramp)[..., 1:-1, 1:-1], torch.full((1, 1, 6, 6), 8.0))


def test_a_negative_has_the_same_magnitude_and_opposite_differences():
    image = torch.rand(1, 1, 9, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sobel_magnitude(1 - image), sobel_magnitude(image))
    torch.testing.assert_close(sobel(1 - image), -sobel(image))
