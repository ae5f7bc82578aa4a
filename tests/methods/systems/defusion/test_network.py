import os
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.systems.defusion.network import KIND, DeFusion, load_defusion, renamed
from sigforge.methods.weights import save_weights

GOLDEN = Path(os.environ.get("SIGFORGE_REFERENCE", Path(__file__).parents[5] / "shared/reference"), "golden")
LAYERS = {"narrow": "conv1", "attention.convolve": "conv2.conv", "attention.squeeze": "conv2.fc1"} | {
    "attention.excite": "conv2.fc2",
    "widen": "conv3",
}


def small(**options):
    torch.manual_seed(0)
    return DeFusion(width=8, **options).eval()


def authors_name(ours):
    """The name of one of our tensors in the authors' state dict, written anew from their layer table."""
    part, rest = ours.split(".", 1)
    if part in ("stem", "show_part", "show_fused"):
        layers = {"stem": "encoder_lower", "show_part": "decoder_lower_projection_layer", "show_fused": "fusion_rule"}
        return f"{layers[part]}.0.{rest}"
    if part == "common_encoder":
        return f"common_encoder.0.layer.{layer_name(rest, 1)}"
    stage, rest = rest.split(".", 1)
    if part == "encoder":
        start = "encoder_lower.2" if stage == "0" else f"lower_encoder_layer{stage}"
        return f"{start}.layer.{layer_name(rest, 1)}"
    side = "common" if part == "common_decoder" else "lower"
    last = ".0" if stage == "3" else ""
    return f"decoder_{side}_layer{int(stage) + 1}{last}.layer.{layer_name(rest, 0)}"


def layer_name(rest, shortcut):
    block, layer = rest.split(".", 1)
    layer, kind = layer.rsplit(".", 1)
    return f"{block}.{LAYERS.get(layer, f'downsample.{shortcut}')}.{kind}"


def pseudo(name, shape):
    """Weights that depend on the authors' name alone (golden/README.md)."""
    normal = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)
    value = normal / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.2 + 0.1 * normal
    return torch.from_numpy(value.astype(np.float32))


@pytest.fixture(scope="module")
def golden():
    """Parts of the authors' images, from the network with pseudo weights, and a function to the recorded ones."""
    if not GOLDEN.is_dir():
        pytest.skip(f"golden outputs are not at {GOLDEN}")
    net = DeFusion().eval()
    state = {authors_name(name): value for name, value in net.state_dict().items()}
    state = {name: pseudo(name, value.shape) for name, value in state.items()}
    wrong = {name.replace("lower", "upper"): 9 + value for name, value in state.items() if "lower" in name}
    unused = {"decoder_common_projection_layer.0.bias": torch.zeros(3)}
    net.load_state_dict(renamed(state | wrong | unused))
    case = "inputs/HaowenBai+ReFusion__test_cases__MEIF__{}__AirBellowsGap.png"
    images = [PIL.Image.open(GOLDEN / case.format(side)).convert("RGB") for side in ("over", "under")]
    pixels = [np.asarray(image, np.float32)[:128, :160] / 255 for image in images]
    with torch.inference_mode():
        parts = net(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)[:, None])
    file = "defusion_pseudo__defusion_TrainPro_{}_128x160.npz"
    return parts, lambda name: torch.from_numpy(np.load(GOLDEN / file.format(name))["output"])


@pytest.mark.parametrize(("part", "name"), enumerate(["common", "upper", "lower", "fusion"]))
def test_parts_are_those_of_the_authors(golden, part, name):
    parts, recorded = golden
    torch.testing.assert_close(parts[part][0], recorded(name), atol=1e-4, rtol=0)


def test_size_of_both_layouts():
    unused = 3 * (16 * 9 + 1)
    assert sum(x.numel() for x in DeFusion().parameters()) == 7_687_593 - unused
    assert sum(x.numel() for x in DeFusion(common_skips=True).parameters()) == 7_874_473 - unused


@pytest.mark.parametrize("size", [(5, 9), (33, 46)])
def test_fuse_takes_any_size(size):
    a, b = torch.rand(2, 2, 1, *size)
    fused = small().fuse(a, b)
    assert fused.shape == a.shape and 0 <= fused.min() and fused.max() <= 1 and torch.isfinite(fused).all()


def test_batch_is_the_same_as_one_by_one():
    net = small(channels=1)
    a, b = torch.rand(2, 2, 1, 24, 16)
    one_by_one = torch.cat([net.fuse(x[None], y[None]) for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(net.fuse(a, b), one_by_one, atol=1e-5, rtol=0)


def test_exchanged_sources_exchange_the_unique_parts_around_a_common_one():
    net = small(common_skips=True)
    net.common_encoder = torch.nn.Identity()
    net.common_encoder.forward = lambda x: torch.cat([x.unflatten(1, (2, -1)).sum(1)] * 4, dim=1)
    sources = torch.rand(2, 1, 3, 16, 16)
    with torch.inference_mode():
        there, back = net(sources), net(sources.flip(0))
    torch.testing.assert_close(there.unique_a, back.unique_b)
    assert not torch.allclose(there.unique_a, there.unique_b, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"common_skips": True, "channels": 1}])
def test_file_round_trip(tmp_path, options):
    net, path = small(**options), tmp_path / "model.safetensors"
    save_weights(path, net, kind=KIND, config={"width": 8, **options})
    a, b = torch.rand(2, 1, 1, 16, 24)
    assert torch.equal(load_defusion(path).fuse(a, b), net.fuse(a, b))


def test_a_file_of_another_layout_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, small(), kind=KIND, config={"width": 8, "common_skips": True})
    with pytest.raises(UserError, match=r"model\.safetensors: made by another version"):
        load_defusion(path)
