import json
import os
import re
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sigforge.core.errors import UserError
from sigforge.methods.systems.emma.network import (
    KIND,
    SENSING_KIND,
    Sensing,
    SensingConfig,
    UFuser,
    UFuserConfig,
    UNet,
    load_emma,
    load_sensing,
)
from sigforge.methods.weights import save_weights

REFERENCE = Path(os.environ.get("SIGFORGE_REFERENCE", Path(__file__).parents[5] / "shared/reference"))
SMALL = UFuserConfig(widths=(8, 8, 8, 8))
HEIGHT, WIDTH = 128, 160


def published_shapes(heading):
    """Tensor names and shapes of a published network, from the table of facts about it."""
    text = (REFERENCE / "models/emma.md").read_text().split(f"**{heading}")[1].split("\n**")[0]
    rows = re.findall(r"^\| `(\S+)` \| (\S+) \| float32", text, flags=re.MULTILINE)
    return {name: tuple(int(side) for side in shape.split("x")) for name, shape in rows}


def pseudo(name, shape):
    """The synthetic tensor of ``golden/README.md``, gain 1 and bias 0."""
    n = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)
    if name.endswith("running_var"):
        value = 1 + 0.1 * np.abs(n)
    elif name.endswith(".scale"):
        value = 1 + 0.1 * n
    elif len(shape) >= 2:
        value = n / np.sqrt(np.prod(shape[1:]))
    else:
        value = 0.1 * n if name.endswith(("running_mean", "bias")) else 1 + 0.1 * n
    return torch.from_numpy(value.astype(np.float32))


def with_pseudo_weights(net, heading):
    state = {name: value for name, value in net.state_dict().items() if value.dtype == torch.long}
    for name, shape in published_shapes(heading).items():
        ours = name
        for pattern, replacement in net.renames.items():
            ours = re.sub(pattern, replacement, ours)
        state[ours] = pseudo(name, shape)
    net.load_state_dict(state)
    return net.eval()


@pytest.fixture(scope="module")
def golden():
    folder = REFERENCE / "golden"
    if not folder.is_dir():
        pytest.skip(f"golden outputs are not at {folder}")
    items = json.loads((folder / "emma_pseudo.json").read_text())["items"]

    def read(file):
        item = next(item for item in items if item["output"] == file)
        grey = [cv2.cvtColor(cv2.imread(str(folder / path)), cv2.COLOR_BGR2GRAY) for path in item["inputs_png"]]
        planes = torch.from_numpy(np.stack(grey)[:, None, None, :HEIGHT, :WIDTH]).float() / 255
        return planes, torch.from_numpy(np.load(folder / file)["output"])

    return read


@torch.no_grad()
def test_ufuser_equals_the_published_module(golden):
    net = with_pseudo_weights(UFuser(), "Ufuser")
    seen = {}
    layers = {"I_en_1": net.encoders[0].scale1, "f_4": net.fuse4, "up4": net.up4, "de_1": net.decode1}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _module, _inputs, output, name=name: seen.update({name: output}))
    planes, expected = golden("emma_pseudo__ufuser_FLIR_03952_128x160.npz")
    fused = net(planes)
    torch.testing.assert_close(fused[0, 0], expected, atol=5e-5, rtol=0)
    for name, output in seen.items():
        _, feature = golden(f"emma_pseudo__ufuser_FLIR_03952_128x160_feat_{name}.npz")
        torch.testing.assert_close(output[0, :4], feature, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(net.fuse(*planes), fused)


@torch.no_grad()
def test_the_sensing_network_equals_the_published_module(golden):
    planes, expected = golden("emma_pseudo__unet5_FLIR_03952_128x160.npz")
    net = with_pseudo_weights(UNet(64), "UNet5")
    torch.testing.assert_close(net(planes[0])[0, 0], expected, atol=5e-5, rtol=0)


def test_sizes_are_those_of_the_paper():
    with torch.device("meta"):
        assert sum(p.numel() for p in UFuser().parameters()) == 1_517_657
        assert sum(p.numel() for p in UNet(64).parameters()) == 39_397_761


@pytest.mark.parametrize("size", [(1, 1), (7, 50), (33, 47)])
def test_fuse_takes_any_size(size):
    torch.manual_seed(0)
    a, b = torch.rand(2, 2, 1, *size)
    net = UFuser(SMALL).eval()
    fused = net.fuse(a, b)
    assert fused.shape == a.shape and 0 <= fused.min() and fused.max() <= 1
    torch.testing.assert_close(fused[1:], net.fuse(a[1:], b[1:]))
    assert not torch.allclose(fused, net.fuse(b, a))


def test_widths_are_whole_heads():
    with pytest.raises(ValidationError, match="multiple of the 8 heads"):
        UFuserConfig(widths=(8, 12, 32, 32))


def test_models_come_back_from_their_files(tmp_path):
    torch.manual_seed(0)
    fuser, sensing = UFuser(SMALL).eval(), Sensing(SensingConfig(width=2)).eval()
    save_weights(tmp_path / "emma.safetensors", fuser, kind=KIND, config=fuser.config.model_dump(mode="json"))
    save_weights(tmp_path / "sense.safetensors", sensing, kind=SENSING_KIND, config=sensing.config.model_dump())
    a, b = torch.rand(2, 1, 1, 32, 32)
    assert torch.equal(load_emma(tmp_path / "emma.safetensors").fuse(a, b), fuser.fuse(a, b))
    again = load_sensing(tmp_path / "sense.safetensors")
    assert torch.equal(again(a), sensing(a)) and not any(p.requires_grad for p in again.parameters())
    with pytest.raises(UserError, match="holds a emma-sensing model where a emma model"):
        load_emma(tmp_path / "sense.safetensors")
