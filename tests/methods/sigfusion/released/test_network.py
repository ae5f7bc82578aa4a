import json
import os
import re
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.sigfusion.released.blocks import DecoderBlock
from sigforge.methods.sigfusion.released.fusion import ReleasedFusion
from sigforge.methods.sigfusion.released.network import Decoder, Encoder, FusionDecoder, Modulator
from sigforge.methods.sigfusion.released.transform import analyse, boundaries, synthesise

GOLDEN = Path(os.environ.get("SIGFORGE_REFERENCE", Path(__file__).parents[5] / "shared/reference"), "golden")
recorded = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recorded outputs are not here: SIGFORGE_REFERENCE")

NAMES = (
    (r"^embed\.", "patch_embed.proj."),
    (r"^layers\.(\d)\.", lambda m: f"MLP.{2 * int(m[1])}."),
    (r"tail\.first\.", "transformer."),
    (r"tail\.second\.", "transformer1."),
    (r"tail\.widen\.", "conv2."),
    (r"tail\.plane\.", "conv3."),
    (r"merge_features\.", "channel_reduce."),
    (r"merge_bands\.", "conv2_1."),
    (r"norm([12])\.", r"norm\1.body."),
    (r"attention\.project\.", "attn.project_out."),
    (r"attention\.local\.", "attn.qkv_dwconv."),
    (r"attention\.", "attn."),
    (r"feed\.up\.", "ffn.project_in."),
    (r"feed\.spread\.", "ffn.dwconv."),
    (r"feed\.down\.", "ffn.project_out."),
    (r"side\.reduce\.", "{side}.conv1."),
    (r"side\.expand\.", "{side}.conv2."),
    (r"side\.shrink\.steps\.(\d)\.", lambda m: f"{{side}}.len_to_32.Conv{int(m[1]) + 1}."),
    (r"side\.stretch\.steps\.(\d)\.", lambda m: f"{{side}}.len_to_hw.Conv{int(m[1]) + 1}."),
)
"""Our tensor names and the authors', in the order in which they are replaced."""

PARTS = {
    Encoder: ("Signal_Encoder", "transformer_ewts", "ewt"),
    Decoder: ("Signal_Decoder", "transformer_iewts", "iewt"),
    FusionDecoder: ("Signal_Fusion_Decoder", "transformer_iewts", "iewt"),
    Modulator: ("Signal_Transformer", "transformer.transformer_blocks", ""),
}

DRAWN = (
    (0.6985, 0.6684, 0.6136, 0.6111),
    (0.9291, 0.9447, 0.9743, 0.8592),
    (0.9161, 0.9552, 0.9545, 0.8539),
    (0.9013, 0.9742, 0.9585, 0.8735),
)
"""Every 13th row and 17th column of the fusion of the pattern below."""


def authors_name(name, part):
    whole, blocks, side = PARTS[part]
    name = re.sub(r"^blocks\.", f"{blocks}.", name)
    for pattern, other in NAMES:
        name = re.sub(pattern, other, name)
    return f"{whole}.{name.replace('{side}', side)}"


def pseudo(name, shape):
    """The synthetic tensor of ``golden/README.md``, gain 1 and bias 0."""
    n = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)
    if name.endswith(".temperature"):
        values = 1 + 0.1 * n
    elif len(shape) >= 2:
        values = n / np.sqrt(np.prod(shape[1:]))
    else:
        values = 0.1 * n if name.endswith("bias") else 1 + 0.1 * n
    return torch.from_numpy(values.astype(np.float32))


def filled(part, **options):
    module = part(**options)
    state = module.state_dict()
    module.load_state_dict({name: pseudo(authors_name(name, part), tuple(x.shape)) for name, x in state.items()})
    return module.eval()


def golden(name):
    return torch.from_numpy(np.load(GOLDEN / f"sigfusion_pseudo__{name}.npz")["output"])


def grey(path, rows, columns):
    image = np.asarray(PIL.Image.open(GOLDEN / "inputs" / path), dtype=np.float32)
    image = image if image.ndim == 2 else image @ np.float32([0.299, 0.587, 0.114])
    return torch.from_numpy(image[rows, columns] / np.float32(255))[None, None]


@pytest.fixture(scope="module")
def encoder():
    return filled(Encoder)


@pytest.fixture(scope="module")
def sources():
    window = (slice(80, 208), slice(160, 320))
    return [grey(f"Zhaozixiang1228+MMIF-EMMA__test_img__{name}__FLIR_03952.png", *window) for name in ("ir", "vi")]


@pytest.fixture(scope="module")
def encodings(encoder, sources):
    with torch.inference_mode():
        return [encoder(source) for source in sources]


def near(ours, name, tolerance=1e-4):
    torch.testing.assert_close(ours, golden(name), atol=tolerance, rtol=0)


@recorded
@torch.inference_mode()
def test_the_parts_of_an_encoder_block_come_back(encoder, sources):
    x, block = encoder.embed(sources[0]), encoder.blocks[0]
    near(x[0, :2], "encoder_ir_patch_embed")
    near(block.norm1(x)[0, :2], "encoder_ir_block0_norm1")
    near(block.attention(block.norm1(x))[0, :2], "encoder_ir_block0_attn")
    x = block.attend(x)
    signal = block.side.signal(x)
    near(signal.view(32, 32), "encoder_ir_block0_len32")
    low = block.side.map(analyse(signal)[0][:, 0], x.shape[-2:])
    near(low[0, :2], "encoder_ir_block0_ewt")
    near(block.feed(block.norm2(x + low))[0, :2], "encoder_ir_block0_ffn")


@recorded
def test_features_and_bands_of_both_sources_come_back(encodings):
    near(encodings[0].feature[0, :4], "encoder_ir")
    near(encodings[1].feature[0, :2], "encoder_vis")
    near(torch.stack([torch.cat(one.bands) for one in encodings]), "ewt_bands")
    near(torch.stack([torch.cat(one.filters) for one in encodings]), "ewt_filters")


@recorded
@torch.inference_mode()
def test_self_reconstruction_and_the_modulated_one_come_back(encodings):
    decoder, modulator = filled(Decoder), filled(Modulator)
    first = decoder.blocks[0].synthesis(encodings[0].feature, encodings[0].bands[0], encodings[0].filters[0])
    near(first[0, :2], "decoder_block0_iewt")
    near(decoder(encodings[0])[0, 0], "decoder")
    modulated = modulator(encodings[0])
    near(modulated.feature[0, :2], "modulator_feature")
    near(torch.cat(modulated.bands), "modulator_bands")
    near(decoder(modulated)[0, 0], "plgn")


@recorded
@torch.inference_mode()
def test_the_fusion_of_both_orders_comes_back(encodings):
    decoder = filled(FusionDecoder)
    merged = decoder.merge(*encodings)
    near(merged.feature[0, :2], "fusion_channel_reduce")
    near(torch.cat(merged.bands), "fusion_bands")
    near(torch.cat(merged.filters), "fusion_filters")
    near(decoder.blocks[0](merged.feature, merged.bands[0], merged.filters[0])[0, :2], "fusion_block0_unused")
    near(decoder(*encodings)[0, 0], "fusion")
    near(decoder(*reversed(encodings))[0, 0], "fusion_swapped")


@recorded
@torch.inference_mode()
def test_sides_that_no_power_of_two_divides_come_back(encoder, sources):
    net = ReleasedFusion()
    net.encoder, net.decoder = encoder, filled(FusionDecoder)
    near(net(torch.stack([source[..., :97, :131] for source in sources]))[0, 0], "fusion_97x131")


@recorded
def test_the_transform_of_plain_signals_comes_back():
    signals = golden("ewt_plain_signals")
    bands, filters, cuts = analyse(signals)
    torch.testing.assert_close(cuts.float(), golden("ewt_plain_boundaries"), atol=1e-6, rtol=0, equal_nan=True)
    near(filters, "ewt_plain_filters")
    near(bands, "ewt_plain_bands")
    near(synthesise(bands, filters), "ewt_plain_synthesis")


def test_two_cuts_make_a_tight_frame_and_every_signal_has_its_own():
    signals = torch.randn(3, 1024, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).cumsum(-1)
    bands, filters, cuts = analyse(signals)
    both = ~cuts.isnan().any(-1)
    assert both.any() and len({float(cut) for cut in cuts[:, 0]}) == 3
    torch.testing.assert_close(filters[both].square().sum(1), torch.ones_like(signals[both]), atol=1e-12, rtol=0)
    torch.testing.assert_close(synthesise(bands, filters)[both], signals[both], atol=1e-10, rtol=0)


def test_a_constant_signal_is_one_line():
    with pytest.raises(UserError, match=r"no two spectral peaks.*'full'"):
        boundaries(torch.full((1, 1024), 0.5))


def test_without_the_slip_all_blocks_and_levels_count():
    torch.manual_seed(0)
    sources = torch.rand(2, 1, 1, 40, 44)
    for slip, counting in ((True, 1), (False, 5)):
        net = ReleasedFusion(slip=slip)
        net(sources).mean().backward()
        blocks = [block for block in net.decoder.blocks if isinstance(block, DecoderBlock)]
        assert sum(block.attention.qkv.weight.grad is not None for block in blocks) == counting


def test_sizes_are_the_authors():
    counts = {part: sum(x.numel() for x in part().parameters()) for part in (Encoder, Decoder, Modulator)}
    unused = 5 * (1024 * 2048 + 2048 + 2048 * 1024 + 1024)
    assert counts[Encoder] == 381_198 and counts[Modulator] == 15_065_037
    assert counts[Decoder] == 21_745_766 - unused - 2  # the second number: their 'conv4', which nothing calls


def test_the_record_names_the_repository():
    if GOLDEN.is_dir():
        meta = json.loads((GOLDEN / "sigfusion_pseudo.json").read_text())["meta"]
        assert meta["repo"] == "fengjiawei123/SigFusion"


@torch.inference_mode()
def test_a_drawn_pair_gives_what_it_gave_when_the_recorded_outputs_came_back(encoder):
    """The recorded pictures may not be committed; this pattern stands for them where they are not there."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(52.0), indexing="ij")
    drawn = [0.5 + 0.3 * (rows / a).sin() * (columns / b).cos() + 0.004 * (rows % 5) for a, b in ((3, 5), (7, 2))]
    net = ReleasedFusion()
    net.encoder, net.decoder = encoder, filled(FusionDecoder)
    fused = net(torch.stack(drawn)[:, None, None])[0, 0, ::13, ::17]
    torch.testing.assert_close(fused, torch.tensor(DRAWN), atol=1e-4, rtol=0)
