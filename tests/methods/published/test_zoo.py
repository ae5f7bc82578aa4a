"""What every published network promises; without its weights, so that these run everywhere."""

import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.loading import load
from sigforge.methods.published.checkpoints import ENVIRONMENT
from sigforge.methods.published.method import list_published, list_weights
from sigforge.methods.published.mufusion import PATCH, MuFusion
from sigforge.methods.published.network import run_local, stretch_to_unit
from sigforge.methods.registry import get_method, list_methods

every_method = pytest.mark.parametrize("name", list_published())


@pytest.fixture
def network():
    """A function name -> the method's network with seeded random weights."""

    def build(name):
        torch.manual_seed(0)
        return get_method(name).build().eval().requires_grad_(False)

    return build


def test_the_promised_networks_are_there():
    promised = {
        "refusion",
        "ifcnn_max",
        "ifcnn_mean_raw",
        "ifcnn_sum",
        "densefuse",
        "lrrnet",
        "cunet",
        "gifnet",
        "mufusion",
    }
    assert promised <= set(list_published()) <= set(list_methods())
    assert "lrrnet" in list_methods("vif") and "lrrnet" not in list_methods("mef")
    assert set(get_method("refusion").tasks) == {"vif", "mif", "mfif", "mef"}


@every_method
def test_facts_are_complete(name):
    method = get_method(name)
    assert method.kind == "learned" and method.paper and method.year >= 2019 and method.equation
    assert method.tasks == tuple(method.weights)
    assert method.parameters == sum(p.numel() for p in method.build().parameters())


def test_checkpoints_have_one_name_and_one_hash_each():
    every = list_weights()
    assert len({weights.name for weights in every}) == len({weights.sha256 for weights in every}) == len(every) == 18
    for weights in every:
        assert len(weights.sha256) == 64 and len(weights.commit) == 40 and weights.licence
        assert weights.url.startswith("https://github.com/")


@every_method
@pytest.mark.parametrize("size", [(17, 24), (1, 5)], ids=str)
def test_any_size_comes_back_in_range(name, size, network):
    sources = torch.rand(2, 2, 1, *size, generator=torch.Generator().manual_seed(1))
    fused = network(name).fuse(sources)
    assert fused.shape == sources.shape[1:] and fused.dtype == torch.float32
    assert 0 <= fused.min() and fused.max() <= 1


@every_method
def test_a_batch_equals_its_images_one_by_one(name, network):
    net = network(name)
    sources = torch.rand(2, 2, 1, 17, 20, generator=torch.Generator().manual_seed(1))
    alone = torch.cat([net.fuse(sources[:, n : n + 1]) for n in range(2)])
    torch.testing.assert_close(net.fuse(sources), alone, atol=1e-5, rtol=0)


@every_method
def test_networks_for_more_than_two_sources_do_not_mind_their_order(name, network):
    sources = torch.rand(3, 1, 1, 17, 20, generator=torch.Generator().manual_seed(1))
    if not get_method(name).symmetric:
        assert get_method(name).n_sources == (2, 2)
        return
    net = network(name)
    torch.testing.assert_close(net.fuse(sources), net.fuse(sources.flip(0)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["ifcnn_max", "densefuse", "lrrnet", "cunet"])
def test_tiles_give_what_the_whole_image_gives(name, network):
    net, channels = network(name), 3 if name in ("ifcnn_max", "cunet") else 1
    strip = torch.rand(2, 1, channels, 4, 3 * net.radius, generator=torch.Generator().manual_seed(1))
    tiled = run_local(net, strip, radius=net.radius, tile=net.radius)
    torch.testing.assert_close(tiled, net(strip), atol=1e-5, rtol=0)


def test_a_tile_sees_no_further_than_it_must():
    sizes = []
    run_local(lambda x: sizes.append(x.shape[-2:]) or x, torch.rand(1, 50, 70), radius=3, tile=20)
    assert max(sizes) == (26, 26) and sizes[0] == (23, 23) and len(sizes) == 12


def test_mufusions_patches_are_averaged_where_they_overlap(network):
    net = network("mufusion")
    sources = torch.rand(2, 1, 1, 64, 180, generator=torch.Generator().manual_seed(1))
    left, right = net(sources[..., :PATCH]), net(sources[..., -PATCH:])
    fused = net.run(sources)
    torch.testing.assert_close(fused[..., :52], left[..., :52])
    torch.testing.assert_close(fused[..., 52:128], (left[..., 52:] + right[..., :76]) / 2)
    assert MuFusion.multiple == 2 and net.run(sources[..., :33, :47]).shape[-2:] == (33, 47)


def test_stretching_leaves_flat_images_alone():
    images = torch.stack([torch.full((1, 4, 4), 0.3), torch.linspace(0.2, 0.4, 16).view(1, 4, 4)])
    stretched = stretch_to_unit(images)
    assert torch.equal(stretched[0], images[0])
    assert stretched[1].min() == 0 and stretched[1].max() == 1


# without weights


@every_method
def test_missing_weights_are_one_line_that_says_where_and_how(name, tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    with pytest.raises(UserError) as error:
        load(name)
    line = str(error.value)
    assert "\n" not in line and "https://github.com/" in line and "sigforge weights import " in line
    with pytest.raises(UserError, match="published weights"):
        get_method(name).fuse(*torch.rand(2, 1, 1, 8, 8))


def test_a_task_without_weights_is_named():
    with pytest.raises(UserError, match=r"lrrnet: no weights were published for mef; it serves vif"):
        load("lrrnet", "mef")


def test_options_are_known_before_the_weights():
    assert get_method("refusion").defaults == {"stretch": True}
    assert get_method("gifnet").defaults == {}
    with pytest.raises(UserError, match="stretch='yes' must be of type bool"):
        get_method("refusion").check_options({"stretch": "yes"})
