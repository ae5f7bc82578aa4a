"""What holds for every form of the fusion network and both heads."""

import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.loading import load
from sigforge.methods.sigfusion.full.network import FullConfig
from sigforge.methods.sigfusion.fusion import KIND, FusionConfig, build_fusion, load_fusion
from sigforge.methods.sigfusion.sigformer import SigFormerConfig
from sigforge.methods.weights import load_weights, save_weights

SMALL = {"sigformer": SigFormerConfig(width=16, heads=2, signals=8), "full": FullConfig(width=8, heads=2, signals=2)}
FORMS = [(form, head) for form in ("tokens", "released", "full") for head in ("none", "select")]


def built(form, head, **options):
    torch.manual_seed(0)
    config = FusionConfig(form=form, head=head, **SMALL, **options)
    return config, build_fusion(config).eval()


@pytest.fixture
def pair():
    return torch.rand(2, 1, 1, 37, 46, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("form", "head"), FORMS)
def test_odd_sizes_fuse_and_the_file_says_how_it_is_built(form, head, pair, tmp_path):
    config, net = built(form, head)
    fused = net.fuse(*pair)
    assert fused.shape == pair[0].shape and 0 <= fused.min() and fused.max() <= 1
    save_weights(tmp_path / "net.safetensors", net, kind=KIND, config=config.architecture("vif"))
    torch.testing.assert_close(load_fusion(tmp_path / "net.safetensors").fuse(*pair), fused)


@pytest.mark.parametrize(("form", "head"), FORMS)
def test_every_part_that_counts_gets_a_gradient(form, head):
    _, net = built(form, head, slip=False)
    with torch.no_grad():
        for value in net.parameters():
            if not value.any():
                value.normal_(0, 0.1)
    fused = net.explain(torch.rand(2, 1, 1, 48, 48))
    (fused.image.square().mean() + fused.decoded.square().mean()).backward()
    # The authors' low bands are replaced in synthesis, but all their layers are read.
    silent = [name for name, value in net.named_parameters() if value.grad is None]
    assert not silent


def test_full_and_head_start_as_the_mean_of_any_number_of_sources():
    _, net = built("full", "select")
    sources = torch.rand(3, 2, 1, 40, 52)
    torch.testing.assert_close(net.fuse(*sources), sources.mean(0), atol=1e-5, rtol=0)


def changed(form, head):
    """The network with every layer that starts at zero stirred, as after some training."""
    _, net = built(form, head)
    with torch.no_grad():
        for value in net.parameters():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)), alpha=0.05)
    return net


def test_full_does_not_mind_the_order_of_the_sources(pair):
    net = changed("full", "select")
    torch.testing.assert_close(net.fuse(*pair), net.fuse(*reversed(pair)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("form", ["tokens", "released", "full"])
def test_identical_sources_come_back_within_a_grey_level(form, pair):
    fused = changed(form, "select").fuse(pair[0], pair[0])
    assert float((fused - pair[0]).abs().max()) < 1 / 255


def test_full_follows_a_shift_by_one_pixel():
    """Side signals are read on squares, so it can only nearly do so; without a head nothing else would hide it."""
    net = changed("full", "none")
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(97.0), indexing="ij")
    drawn = [0.5 + 0.3 * (rows / a).sin() * (columns / b).cos() for a, b in ((5, 7), (9, 4))]
    wide = torch.stack(drawn)[:, None, None]
    inside = (..., slice(24, -24), slice(24, -24))
    left, right = net.fuse(*wide[..., :-1])[inside], net.fuse(*wide[..., 1:])[inside]
    assert float((left[..., 1:] - right[..., :-1]).abs().mean()) < 1 / 255


def test_high_bands_matter_from_the_start():
    _, net = built("full", "none")
    plane = torch.rand(1, 1, 64, 64)
    former = net.sigformer
    parts = former.decompose(plane)
    silent = type(parts)(parts.low, tuple(torch.zeros_like(high) for high in parts.high), parts.boundaries)
    whole, without = (former.picture(former.features(each)).detach() for each in (parts, silent))
    torch.testing.assert_close(whole, plane, atol=1e-5, rtol=0)
    assert float((without - plane).square().mean().sqrt()) > 0.03


def test_another_form_is_one_line_with_the_keys_that_differ(tmp_path):
    config, net = built("full", "select")
    save_weights(tmp_path / "net.safetensors", net, kind=KIND, config=config.architecture("vif"))
    other, tokens = built("tokens", "none")
    with pytest.raises(
        UserError, match=r"form \(file full, asked tokens\).*head \(file select, asked none\)"
    ) as caught:
        load_weights(tmp_path / "net.safetensors", tokens, kind=KIND, config=other.architecture("vif"))
    assert "\n" not in str(caught.value)
    wider, net = built("full", "select")
    wider = wider.model_copy(update={"full": FullConfig(width=12, heads=2, signals=2)})
    with pytest.raises(UserError, match=r"configuration: full\.width \(file 8, asked 12\);"):
        load_weights(tmp_path / "net.safetensors", net, kind=KIND, config=wider.architecture("vif"))


def test_a_file_from_before_there_were_forms_is_one_of_tokens(pair, tmp_path):
    config, net = built("tokens", "none")
    old = {"task": "vif", "sigformer": config.sigformer.model_dump(mode="json")}
    save_weights(tmp_path / "net.safetensors", net, kind=KIND, config=old)
    torch.testing.assert_close(load_fusion(tmp_path / "net.safetensors").fuse(*pair), net.fuse(*pair))


def test_a_model_of_another_task_is_one_line(tmp_path):
    config, net = built("full", "none")
    save_weights(tmp_path / "net.safetensors", net, kind=KIND, config=config.architecture("vif"))
    assert load(tmp_path / "net.safetensors", "vif").kind == "learned"
    with pytest.raises(UserError, match="trained for vif, not for mif"):
        load(tmp_path / "net.safetensors", "mif")


@pytest.mark.parametrize(("form", "wanted"), [("full", "two or more sources"), ("tokens", "2 sources")])
def test_one_source_or_different_sizes_are_one_line(form, wanted, pair):
    _, net = built(form, "none")
    with pytest.raises(UserError, match=f"takes {wanted}, got 1"):
        net.fuse(pair[0])
    with pytest.raises(UserError, match="37x46, 37x40"):
        net.fuse(pair[0], pair[1][..., :40])
