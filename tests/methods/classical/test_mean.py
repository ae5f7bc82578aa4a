import torch

from sigforge.methods.registry import get_method


def test_the_mean_of_three_planes():
    planes = [torch.full((1, 1, 2, 2), value) for value in (0.1, 0.3, 0.8)]
    torch.testing.assert_close(get_method("mean").fuse(*planes), torch.full((1, 1, 2, 2), 0.4))
