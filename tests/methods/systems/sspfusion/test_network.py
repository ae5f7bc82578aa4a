import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.systems.sspfusion.network import (
    EXTRACTOR_KIND,
    KIND,
    Extractor,
    SspConfig,
    SSPFusion,
    load_extractor,
    load_sspfusion,
    preserve_structure,
)
from sigforge.methods.weights import save_weights

SMALL = SspConfig(widths=(4, 8, 8), blocks=1)
PUBLISHED = 12_021_649
"""Parameters that the paper's Table 5 gives; it gives no layers, so ours can only be near."""


@pytest.fixture
def net():
    torch.manual_seed(0)
    return SSPFusion(SMALL).eval()


def images(height, width, count=2, seed=0):
    return torch.rand(count, 1, 1, height, width, generator=torch.Generator().manual_seed(seed))


def test_about_as_many_parameters_as_the_papers():
    count = sum(parameter.numel() for parameter in SSPFusion().parameters())
    assert count == 11_395_570 and abs(count - PUBLISHED) < 0.06 * PUBLISHED


def test_a_structure_map_for_every_feature_map(net):
    for extractor in (net.extractor, Extractor(SMALL)):
        with torch.no_grad():
            found = extractor(images(16, 24)[0])
        shapes = [(1, 4, 16, 24), (1, 8, 8, 12), (1, 8, 4, 6)]
        assert [tuple(x.shape) for x in found.features] == [tuple(x.shape) for x in found.maps] == shapes
        assert found.whole.shape == (1, 1, 16, 24)
        assert all(0 < float(level.min()) and float(level.max()) < 1 for level in (*found.maps, found.whole))


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (33, 46), (64, 40)])
def test_any_size(net, size):
    fused = net.fuse(*images(*size))
    assert fused.shape == (1, 1, *size) and fused.dtype == torch.float32
    assert 0 <= float(fused.min()) and float(fused.max()) <= 1


def test_batch_equals_loop(net):
    a, b = images(12, 20, count=6).reshape(2, 3, 1, 12, 20)
    alone = torch.cat([net.fuse(x[None], y[None]) for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(net.fuse(a, b), alone, atol=1e-5, rtol=0)


def test_padding_changes_little_beside_the_border(net):
    a, b = images(32, 32)
    whole, cut = net.fuse(a, b), net.fuse(a[..., :30], b[..., :30])
    torch.testing.assert_close(cut[..., :10], whole[..., :10], atol=0.02, rtol=0)


def test_a_source_gains_where_it_alone_has_structure_and_yields_where_it_alone_has_none():
    maps_a, maps_b = torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 1.0, 0.0])
    a, b = preserve_structure(maps_a, maps_b, torch.full((4,), 0.5), torch.full((4,), 0.25))
    assert a.tolist() == [2.0, 0.0, 1.5, 0.5] and b.tolist() == [0.0, 1.5, 1.25, 0.25]


def test_both_sources_are_treated_alike_up_to_the_joining(net):
    a, b = images(16, 16)
    with torch.no_grad():
        (_, found), (_, swapped) = net(torch.stack([a, b])), net(torch.stack([b, a]))
    for level, other in zip((*found.maps, found.whole), (*swapped.maps, swapped.whole), strict=True):
        torch.testing.assert_close(level, other.roll(1, dims=0))


def test_the_fusion_network_starts_from_the_extractor(net):
    extractor = Extractor(SMALL)
    net.start_from(extractor)
    own = net.extractor.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in extractor.state_dict().items())
    with torch.no_grad():
        net.extractor.head.bias.add_(1)
    assert not torch.equal(extractor.head.bias, net.extractor.head.bias)


def test_files_carry_the_configuration(net, tmp_path):
    extractor = Extractor(SMALL)
    facts = SMALL.model_dump(mode="json")
    save_weights(tmp_path / "net.safetensors", net, kind=KIND, config=facts)
    save_weights(tmp_path / "extractor.safetensors", extractor, kind=EXTRACTOR_KIND, config=facts)
    a, b = images(16, 16)
    assert torch.equal(load_sspfusion(tmp_path / "net.safetensors").fuse(a, b), net.fuse(a, b))
    assert torch.equal(load_extractor(tmp_path / "extractor.safetensors")(a).whole, extractor.eval()(a).whole)
    with pytest.raises(UserError, match="holds a sspfusion-extractor model where a sspfusion model is needed"):
        load_sspfusion(tmp_path / "extractor.safetensors")
