"""The authors' network against outputs that their own code gave with synthetic weights, and what ours adds to it."""

import json
import os
import re
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from sigforge.core.device import Device
from sigforge.core.errors import UserError
from sigforge.core.images import read_image
from sigforge.core.seeds import rng_of
from sigforge.methods.systems.defusion.views import Masked, cover
from sigforge.methods.systems.defusion_pp.forms import KIND, build_defusion_pp, load_defusion_pp
from sigforge.methods.systems.defusion_pp.options import DeFusionPPOptions
from sigforge.methods.systems.defusion_pp.released import ReleasedDeFusionPP, TeacherHeads, positions, renamed
from sigforge.methods.systems.defusion_pp.released_losses import (
    WEIGHTS,
    ReleasedTraining,
    frozen_tokens,
    released_losses,
)
from sigforge.methods.weights import save_weights
from sigforge.training.config import TrainConfig
from sigforge.training.loop import fit

GOLDEN = Path(os.environ.get("SIGFORGE_REFERENCE", Path(__file__).parents[5] / "shared/reference"), "golden")
NAME = "defusion_plusplus_pseudo"
TOLERANCE = 1e-4

BLOCK = {"norm1": (192,), "attn.qkv": (576, 192), "attn.proj": (192, 192), "norm2": (192,)}
BLOCK |= {"mlp.fc1": (768, 192), "mlp.fc2": (192, 768)}
CROSS = {f"multi_input_self_attn.{name}": (192, 192) for name in ("query", "key", "value", "multihead_attn.out_proj")}
CROSS |= {"linear1": (768, 192), "linear2": (192, 768), "norm1": (192,), "norm2": (192,)}


def layers(parts: dict[str, tuple[int, ...]], prefix: str) -> dict[str, tuple[int, ...]]:
    """Weights and biases of the layers of a block."""
    shapes = {}
    for name, shape in parts.items():
        shapes |= {f"{prefix}.{name}.weight": shape, f"{prefix}.{name}.bias": shape[:1]}
    return shapes


def authors_shapes() -> dict[str, tuple[int, ...]]:
    """Every entry of UCMIMNet's state dict, as the sheet of facts lists them."""
    shapes = {"encoder.cls_token": (1, 1, 192), "mask_token": (1, 1, 192)}
    shapes |= layers({"patch_embed.proj": (192, 3, 16, 16), "norm": (192,)}, "encoder")
    blocks = [f"encoder.blocks.{k}" for k in range(12)] + [
        f"{part}.{k}" for part in ("recon_blocks_mim_encoder", "mim_decoder_blocks") for k in (0, 1)
    ]
    blocks += [f"decoder_{kind}_blocks.1" for kind in ("common", "unique", "fuse")]
    blocks += ["decoder_unique_residual", "decoder_unique_residual_skipconn"]
    crosses = [f"decoder_{kind}_blocks.0" for kind in ("common", "unique", "fuse")]
    crosses += ["decode_common_skipconn", "decoder_unique_skipconn", "decoder_fuse_skipconn"]
    for prefix in blocks:
        shapes |= layers(BLOCK, prefix)
    for prefix in crosses:
        shapes |= layers(CROSS, prefix)
        inner = f"{prefix}.multi_input_self_attn.multihead_attn"
        shapes |= {f"{inner}.in_proj_weight": (576, 192), f"{inner}.in_proj_bias": (576,)}
    for name in (*(f"decoder_{kind}_blocks.2" for kind in ("common", "unique", "fuse")), "mim_decoder_pred"):
        shapes |= {f"{name}.weight": (768, 192), f"{name}.bias": (768,)}
    for name in ("enc_norm1", "enc_norm2", "mim_decoder_norm"):
        shapes |= {f"{name}.weight": (192,), f"{name}.bias": (192,)}
    return shapes


def synthetic(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The recipe of the golden values: numbers that depend on a parameter's name and shape alone."""
    n = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
    if len(shape) > 1:
        n = n / np.sqrt(np.prod(shape[1:]))
    else:
        n = 0.1 * n + (0 if key.endswith("bias") else 1)
    return torch.from_numpy(n.astype(np.float32))


@cache
def network() -> ReleasedDeFusionPP:
    net = ReleasedDeFusionPP().eval()
    net.load_state_dict(renamed({key: synthetic(key, shape) for key, shape in authors_shapes().items()}))
    return net


@cache
def sources() -> torch.Tensor:
    if not (GOLDEN / f"{NAME}.json").exists():
        pytest.skip(f"needs the recorded outputs in {GOLDEN}")
    item = json.loads((GOLDEN / f"{NAME}.json").read_text())["items"][0]
    images = []
    for path in item["inputs_png"]:
        image = np.asarray(read_image(GOLDEN / path)[0], np.float32)
        image = np.repeat(image[..., None], 3, -1) if image.ndim == 2 else image
        images.append(torch.from_numpy(image[35:259, 150:374]).permute(2, 0, 1))
    return torch.stack(images)[:, None]


def close(found: torch.Tensor, name: str) -> None:
    golden = torch.from_numpy(np.load(GOLDEN / f"{NAME}__{name}.npz")["output"])
    rows = tuple(slice(0, size) for size in golden.shape)
    torch.testing.assert_close(found.squeeze(0)[rows], golden, atol=TOLERANCE, rtol=1e-4)


@torch.inference_mode()
def test_the_encoder_is_the_authors():
    net, (ir, _) = network(), sources()
    embedding, first, last = net.encoder(ir)
    close((embedding - positions((14, 14), 192))[:, 1:], "encoder_ir_patches")
    close(first, "encoder_ir_block0")
    close(last, "encoder_ir_block11")


@torch.inference_mode()
def test_tokens_and_images_are_the_authors():
    net, grid = network(), (14, 14)
    features = net.decompose(sources())
    close(features.common.deep, "common_tokens")
    close(features.common.shallow, "common_skip_tokens")
    a, b = (net.levels(source) for source in sources())
    close(net.unique(a.deep, b.deep), "unique2_tokens")
    close(sum(net.join(features.common.deep, part.deep) for part in features[1:]), "fuse_tokens")
    tokens = net.fused_tokens(features)
    close(net.show_fused.block(net.recon(tokens) + tokens), "fused_head_tokens")
    for image, name in zip(net.part_images(features, grid), ("common", "unique1", "unique2"), strict=True):
        close(image, name)
    close(net.fused_image(features, grid), "fused")
    close(net.fused_image(net.decompose(sources(), b_first=True), grid), "fused_other_order")


@torch.inference_mode()
def test_the_masked_branch_is_the_authors():
    noise = np.random.Generator(np.random.PCG64(zlib.crc32(b"mask"))).random((1, 196)).astype(np.float32)
    kept = torch.from_numpy(noise).argsort(-1)[:, :49]
    sources()
    golden = np.load(GOLDEN / f"{NAME}__mask_kept.npz")["output"]
    assert kept[0].tolist() == golden.astype(int).tolist()
    close(network().masked_image(network().decompose(sources()), (14, 14), kept), "masked")


@torch.inference_mode()
def test_what_it_says_of_its_teachers_is_the_authors():
    heads = TeacherHeads(192, (768, 768)).eval()
    state = {}
    for k in (1, 2):
        for kind, shape in (("weight", (768, 192)), ("bias", (768,))):
            state[f"predict.{k - 1}.{kind}"] = synthetic(f"latent_predict{k}.{kind}", shape)
            state[f"norms.{k - 1}.{kind}"] = synthetic(f"mm_unique_norm{k}.{kind}", (192,))
    heads.load_state_dict(state)
    predictions, commons = heads(network(), sources())
    close(predictions[0], "mcud_predict1")
    close(predictions[1], "mcud_predict2")
    close(commons[0], "mcud_common1")


def test_every_entry_of_the_authors_has_a_place_and_the_size_is_theirs():
    shapes = authors_shapes()
    trained = sum(int(np.prod(shape)) for shape in shapes.values())
    assert trained == 13_420_800
    ours = dict(ReleasedDeFusionPP().named_parameters())
    assert sum(x.numel() for x in ours.values()) == trained - 384
    assert not any(re.search(r"decoder_|mim_|attn", name) for name in ours)


# What is ours: any size, training, files


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return ReleasedDeFusionPP(width=48, depth=2)


@pytest.mark.parametrize("size", [(5, 9), (33, 50), (230, 235)])
def test_fuse_takes_any_size(tiny, size):
    a, b = torch.rand(2, 1, 1, *size)
    fused = tiny.eval().fuse(a, b)
    assert fused.shape == a.shape and 0 <= fused.min() and fused.max() <= 1


def test_positions_of_a_smaller_grid_are_those_of_its_corner():
    whole, part = positions((14, 14), 48)[1:].view(14, 14, 48), positions((3, 5), 48)[1:].view(3, 5, 48)
    assert torch.equal(whole[:3, :5], part) and not positions((3, 5), 48)[0].any()
    moved = positions((3, 5), 48, corner=(4, 2))[1:].view(3, 5, 48)
    assert torch.equal(whole[4:7, 2:7], moved)
    assert len(torch.unique(positions((14, 14), 48), dim=0)) == 197


def test_the_residual_carries_the_source_that_asks(tiny):
    block = tiny.unique
    with torch.no_grad():
        for layer in (block.attention.out_proj, block.narrow):
            layer.weight.zero_(), layer.bias.zero_()
    other, asking = torch.randn(2, 1, 7, 48)
    expected = torch.nn.functional.layer_norm(asking, (48,))
    torch.testing.assert_close(tiny.eval().unique(other, asking), expected, atol=1e-5, rtol=1e-4)


def masked(seed=5):
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(2, 1, 1, 1, generator=generator) * torch.linspace(0, 1, 48).expand(2, 1, 32, 48)
    masks = torch.stack([cover((32, 48), rng_of(seed, k)) for k in range(2)], dim=1)
    noise = torch.randn(2, 2, 3, 32, 48, generator=generator)
    return Masked(clean, masks * clean + (1 - masks) * noise, masks, 0, seed)


def pair(seed=1):
    return torch.rand(2, 2, 1, 32, 48, generator=torch.Generator().manual_seed(seed)), torch.tensor([3, 8])


def test_a_few_steps_lower_both_losses_and_leave_the_teachers_alone(tiny, tmp_path):
    training = ReleasedTraining(tiny, [frozen_tokens(tiny) for _ in range(2)])
    before = [teacher.embed.weight.clone() for teacher in training.teachers]
    losses, device = released_losses(training), Device(torch.device("cpu"))
    batches = [masked(), pair()] * 15
    config = TrainConfig(steps=30, lr=3e-3, log_every=1)
    history = fit(training, lambda first: batches, losses, config, folder=tmp_path, device=device)
    for name in ("common", "unique", "fused", "masked", "modality"):
        values = [row.value for row in history if row.name == name]
        assert values[-1] < 0.9 * values[0], name
    assert all(torch.equal(x, teacher.embed.weight) for x, teacher in zip(before, training.teachers, strict=True))
    assert training.train().net.training and not any(teacher.training for teacher in training.teachers)


def test_the_loss_weighs_its_terms_and_depends_on_the_batch_alone(tiny):
    losses = released_losses(ReleasedTraining(tiny).train())
    with torch.no_grad():
        one, again, other = losses(masked()), losses(masked()), losses(masked(seed=6))
    assert one == again and one["loss"] != other["loss"]
    total = sum(WEIGHTS[name] * one[name] for name in WEIGHTS)
    torch.testing.assert_close(one["loss"], total)


def test_pairs_without_teachers_say_what_is_missing(tiny):
    with pytest.raises(UserError, match="teachers: .*there are 0; give 2"):
        released_losses(ReleasedTraining(tiny))(pair())


@pytest.mark.parametrize("size", [{"form": "released", "width": 48, "depth": 1}, {"width": 24, "heads": 3, "depth": 1}])
def test_a_file_says_which_form_it_holds(tmp_path, size):
    net, path = build_defusion_pp(size), tmp_path / "model.safetensors"
    save_weights(path, net, kind=KIND, config=size)
    a, b = torch.rand(2, 1, 1, 20, 35)
    read = load_defusion_pp(path)
    assert type(read) is type(net) and torch.equal(read.eval().fuse(a, b), net.eval().fuse(a, b))
    options = DeFusionPPOptions.model_validate({"network": {"form": "paper"} | size})
    assert options.network.architecture == size


def test_a_width_that_does_not_fit_the_form_is_told():
    with pytest.raises(ValueError, match="width 50 is no multiple of 48, which form 'released' needs"):
        DeFusionPPOptions.model_validate({"network": {"width": 50}})
