import torch

from sigforge.methods.registry import get_method


def test_the_brightest_source_wins_each_pixel():
    a, b, c = torch.tensor([[0.1, 0.9, 0.0], [0.5, 0.2, 0.0], [0.3, 0.1, 0.4]])
    fused = get_method("max").fuse(a[None, None, None], b[None, None, None], c[None, None, None])
    assert fused.flatten().tolist() == torch.tensor([0.5, 0.9, 0.4]).tolist()
