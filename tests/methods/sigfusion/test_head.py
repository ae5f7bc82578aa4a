import pytest
import torch

from sigforge.methods.sigfusion.head import Decoded, SelectHead


def filled(features=0, strengths=0):
    """A head whose every layer is random, so that it chooses."""
    torch.manual_seed(0)
    head = SelectHead(features, strengths)
    with torch.no_grad():
        for value in head.parameters():
            value.normal_(0, 0.3)
    return head


def seen(sources, generator):
    count, batch, _, height, width = sources.shape
    features = torch.rand(batch, 5, height // 2, width // 2, generator=generator)
    strengths = torch.rand(count, batch, 2, height // 4, width // 4, generator=generator)
    return Decoded(torch.rand(batch, 1, height, width, generator=generator), features, [strengths])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


@pytest.fixture
def sources(generator):
    return torch.rand(3, 2, 1, 24, 32, generator=generator)


def test_nothing_is_chosen_yet(sources, generator):
    fused = SelectHead(5, 2)(sources, seen(sources, generator))
    torch.testing.assert_close(fused.weights, torch.full_like(fused.weights, 0.25))


def test_swapping_the_sources_swaps_the_weights(sources, generator):
    head, decoded, order = filled(5, 2), seen(sources, generator), [2, 0, 1]
    one = head(sources, decoded)
    swapped = Decoded(decoded.plane, decoded.features, [each[order] for each in decoded.strengths])
    other = head(sources[order], swapped)
    assert one.weights.std() > 0.05
    torch.testing.assert_close(other.weights, one.weights[[*order, 3]])
    torch.testing.assert_close(other.image, one.image)


def test_identical_sources_come_back(sources, generator):
    same = sources[:1].expand(2, -1, -1, -1, -1)
    decoded = seen(same, generator)
    torch.testing.assert_close(filled(5, 2)(same, decoded).image, sources[0])


def test_the_result_lies_between_the_sources_everywhere(sources, generator):
    image = filled(5, 2)(sources, seen(sources, generator)).image
    assert (image >= sources.amin(0) - 1e-6).all() and (image <= sources.amax(0) + 1e-6).all()


def test_moving_the_sources_by_a_pixel_moves_the_result(generator):
    head, wide = filled(), torch.rand(2, 1, 1, 48, 49, generator=generator)
    inside = (..., slice(20, -20), slice(20, -20))
    left, right = head(wide[..., :-1]).image[inside], head(wide[..., 1:]).image[inside]
    torch.testing.assert_close(left[..., 1:], right[..., :-1])


def test_every_layer_learns(sources, generator):
    head = filled(5, 2)
    (head(sources, seen(sources, generator)).image * sources[0]).mean().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in head.parameters())
