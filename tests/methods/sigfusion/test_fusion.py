import pytest
import torch

from sigforge.methods.sigfusion.fusion import FusionNet
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.tiling import pad_to, run_tiled

CONFIG = SigFormerConfig(width=16, heads=2, skip="none")  # lossless from the start


def test_starts_as_the_average():
    torch.manual_seed(0)
    net = FusionNet(SigFormer(CONFIG)).eval()
    a, b = torch.rand(2, 1, 1, 64, 64)
    torch.testing.assert_close(net(torch.stack([a, b])), (a + b) / 2, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(7, 5), (33, 47), (64, 64)])
def test_fuse_takes_any_size(size):
    net = FusionNet(SigFormer(CONFIG))
    a = torch.rand(1, 1, *size)
    fused = net.fuse(a, a)
    assert fused.shape == a.shape
    torch.testing.assert_close(fused, a, atol=1e-4, rtol=0)


def test_tiles_blend_to_the_whole():
    image = torch.rand(1, 1, 75, 131)
    assert torch.allclose(run_tiled(lambda x: x * 2, image, tile=32, overlap=8), image * 2, atol=1e-6)


def test_tiles_see_no_more_than_their_size():
    sizes = set()

    def network(x):
        sizes.add(tuple(x.shape[-2:]))
        return x

    run_tiled(network, torch.rand(1, 1, 100, 30), tile=32, overlap=8)
    assert sizes == {(32, 30)}


def test_padding_mirrors_even_tiny_images():
    padded = pad_to(torch.tensor([[1.0, 2.0, 3.0]]), 3, 8)
    assert padded.shape == (3, 8) and padded[2].tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
