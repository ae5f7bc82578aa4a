import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.systems.defusion_pp.forms import KIND, load_defusion_pp
from sigforge.methods.systems.defusion_pp.network import CrossAttention, DeFusionPP, VitEncoder
from sigforge.methods.weights import save_weights

TINY = {"width": 24, "heads": 3, "depth": 1}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return DeFusionPP(**TINY).eval()


@pytest.mark.parametrize("size", [(5, 9), (33, 50)])
def test_fuse_takes_any_size(net, size):
    a, b = torch.rand(2, 2, 1, *size)
    fused = net.fuse(a, b)
    one_by_one = torch.cat([net.fuse(x[None], y[None]) for x, y in zip(a, b, strict=True)])
    assert fused.shape == a.shape and 0 <= fused.min() and fused.max() <= 1
    torch.testing.assert_close(fused, one_by_one, atol=1e-5, rtol=0)


def test_cross_attention_by_hand():
    """Eqs. (4) and (6) with one head, identity projections and no perceptron."""
    layer = CrossAttention(4, 1)
    with torch.no_grad():
        layer.qkv.weight.copy_(torch.eye(4).repeat(3, 1))
        layer.project.weight.copy_(torch.eye(4))
        for tensor in (layer.qkv.bias, layer.project.bias, layer.perceptron[-1].weight, layer.perceptron[-1].bias):
            tensor.zero_()
    a, b = torch.randn(2, 1, 5, 4)
    features = layer(a, b)
    expected = [(b, b, a), (a, a, b), (b, a, a), (a, b, b)]
    found = (*features.commons, features.unique_a, features.unique_b)
    for feature, (query, key, value) in zip(found, expected, strict=True):
        torch.testing.assert_close(feature, (query @ key.mT / 2).softmax(-1) @ value)


def test_exchanged_sources_exchange_the_features(net):
    sources = torch.rand(2, 1, 1, 32, 48)
    with torch.inference_mode():
        there, back = net.decompose(sources), net.decompose(sources.flip(0))
    torch.testing.assert_close(there.common, back.common)
    torch.testing.assert_close(there.unique_a, back.unique_b)
    assert not torch.allclose(there.unique_a, there.unique_b, atol=1e-4)


def test_sampling_everything_in_any_order_joins_all_tokens(net):
    features = net.decompose(torch.rand(2, 2, 1, 32, 48))
    order = torch.rand(2, 3, 6).argsort(-1)
    torch.testing.assert_close(net.join(features, (2, 3), order), net.join(features, (2, 3)), atol=1e-5, rtol=1e-4)


def test_places_without_a_token_get_the_mask_token(net):
    features = net.decompose(torch.rand(2, 1, 1, 32, 48))
    chosen = torch.tensor([[[4], [4], [2]]])
    joined, position = net.join(features, (2, 3), chosen), net.encoder.positions((2, 3))
    empty = [0, 1, 3, 5]
    torch.testing.assert_close(joined[0, empty], net.mask_token + position[empty])
    assert not torch.allclose(joined[0, 4], (net.mask_token + position)[4], atol=1e-3)


def test_positions_are_resized_to_the_grid():
    encoder = VitEncoder(1, 24, 3, 1)
    assert torch.equal(encoder.positions((14, 14)), encoder.position[0].flatten(1).mT)
    with torch.no_grad():
        encoder.position[:] = torch.arange(14.0)[:, None]
    rows = encoder.positions((7, 3)).view(7, 3, 24)[:, 0, 0]
    assert len(encoder.positions((7, 3))) == 21 and (rows.diff() > 1).all()


def test_patches_land_where_their_tokens_are(net):
    with torch.no_grad():
        tokens = torch.randn(1, 6, 24)
        other = tokens.clone()
        net.show_fused.blocks = torch.nn.Identity()
        other[0, 4] += torch.randn(24)
        change = (net.show_fused(tokens, (2, 3)) - net.show_fused(other, (2, 3))).abs()
    assert change[..., 16:, 16:32].max() > 0
    change[..., 16:, 16:32] = 0
    assert change.max() == 0


def test_vit_t_has_the_size_the_paper_gives():
    assert sum(x.numel() for x in VitEncoder().parameters()) == pytest.approx(5.4e6, rel=0.03)


def test_file_round_trip(tmp_path, net):
    path = tmp_path / "model.safetensors"
    save_weights(path, net, kind=KIND, config=TINY)
    a, b = torch.rand(2, 1, 1, 20, 35)
    assert torch.equal(load_defusion_pp(path).fuse(a, b), net.fuse(a, b))
    save_weights(path, net, kind=KIND, config={**TINY, "depth": 2})
    with pytest.raises(UserError, match="made by another version"):
        load_defusion_pp(path)
