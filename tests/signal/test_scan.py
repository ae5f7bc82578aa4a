import pytest
import torch

from sigforge.signal.scan import flatten, unflatten


@pytest.mark.parametrize("order", ["alternate", "rows"])
@pytest.mark.parametrize("size", [(4, 4), (3, 5), (1, 8)])
def test_round_trip(order, size):
    maps = torch.randn(2, 5, *size)
    assert torch.equal(unflatten(flatten(maps, order), size, order), maps)


def test_odd_channels_run_down_columns():
    maps = torch.arange(6).view(1, 1, 2, 3).repeat(1, 2, 1, 1)
    assert flatten(maps)[0].tolist() == [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5]]
    assert flatten(maps, "rows")[0, 1].tolist() == [0, 1, 2, 3, 4, 5]
