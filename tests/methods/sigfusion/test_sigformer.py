from dataclasses import replace

import pytest
import skimage.data
import torch
from pydantic import ValidationError

from sigforge.losses.fusion import sobel_magnitude
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig

SMALL = SigFormerConfig(width=16, heads=2, skip="none")


@pytest.fixture
def image():
    torch.manual_seed(0)
    return torch.rand(2, 1, 64, 48)


def trained_looking(config: SigFormerConfig) -> SigFormer:
    """Random weights everywhere, so that no branch hides behind a zero start."""
    torch.manual_seed(1)
    model = SigFormer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@torch.no_grad()
def test_lossless_before_training(image):
    model = SigFormer(SMALL).eval()
    assert float((model(image) - image).abs().max()) < 1e-5


@torch.no_grad()
def test_high_subbands_carry_the_detail(image):
    model = SigFormer(SMALL).eval()
    parts = model.decompose(image)
    without = model.reconstruct(replace(parts, high=tuple(torch.zeros_like(h) for h in parts.high)))
    assert float((without - image).pow(2).mean()) > 0.01


@torch.no_grad()
def test_with_the_full_skip_little_is_lost_before_training_and_both_parts_carry():
    photo = torch.from_numpy(skimage.data.camera()[100:228, 100:228] / 255).float()[None, None]
    model = SigFormer(SigFormerConfig(width=16, heads=2)).eval()
    parts = model.decompose(photo)
    silent = replace(parts, high=tuple(torch.zeros_like(high) for high in parts.high))
    errors = [
        float((model.reconstruct(kept) - photo).pow(2).mean())
        for kept in (parts, silent, replace(parts, low=torch.zeros_like(parts.low)))
    ]
    assert errors[0] < 5e-3, "23 dB"
    assert min(errors[1:]) > 3 * errors[0]


@torch.no_grad()
@pytest.mark.parametrize("change", [{"signal": "dwt"}, {"signal": "none"}, {"backbone": "cnn"}, {"embedding": "patch"},
                                    {"carrier": False}, {"scan": "rows"}, {"bands": 4}, {"pools": (1,)}, {"pools": (1, 1, 1)}, {"share": 3}])  # fmt: skip
def test_every_form_is_lossless_before_training(image, change):
    config = SigFormerConfig(**{"width": 16, "heads": 2, "skip": "none"} | change)
    assert float((SigFormer(config).eval()(image) - image).abs().max()) < 2e-5
    changed = trained_looking(config)(image)
    assert changed.shape == image.shape and float((changed - image).abs().max()) > 0.01


@torch.no_grad()
def test_without_a_transform_high_subbands_are_silent(image):
    parts = trained_looking(SigFormerConfig(width=16, heads=2, signal="none")).decompose(image)
    assert all(float(parts[name].abs().max()) == 0 for name in parts.names()[1:])


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 48), (16, 132)])
def test_overlapping_windows_leave_no_block_edges(size):
    """The same change of every token must show as much at patch borders as inside patches."""
    torch.manual_seed(0)

    def jumps(embedding):
        model = SigFormer(SigFormerConfig(embedding=embedding))
        tokens = model.embed(torch.zeros(1, 1, *size))
        tokens[:, :4] += torch.randn_like(tokens[:, :4])
        steps = model.to_image(tokens).diff(dim=-1).abs().mean((0, 1, 2))
        return float(steps[3::4].mean() / steps[1::4].mean())

    assert jumps("patch") > 2 and jumps("lapped") < 1.6


@pytest.mark.parametrize("skip", ["full", "pooled", "none"])
@pytest.mark.parametrize("pools", [(1,), (1, 2), (1, 1, 2)])
def test_shapes_and_names_for_any_number_of_levels(skip, pools):
    config = SigFormerConfig(width=8, heads=2, signals=4, pools=pools, skip=skip)
    model = trained_looking(config)
    side = config.minimum_side
    parts = model.decompose(torch.rand(1, 1, side, side + config.multiple))
    assert parts.names() == config.subbands
    tokens = [size // 4 + max(pools) for size in (side, side + config.multiple)]
    assert parts["H1_2"].shape == (1, 4, tokens[0] * tokens[1])
    assert model.reconstruct(parts).shape == (1, 1, side, side + config.multiple)


def test_level_two_is_half_as_fine_with_pooling(image):
    parts = trained_looking(SigFormerConfig(width=16, heads=2, pools=(1, 2))).decompose(image)
    assert parts["H1_1"].shape[-1] == 18 * 14
    assert parts["H2_1"].shape[-1] == 9 * 7


def test_batch_equals_loop(image):
    model = trained_looking(SMALL)
    together = model(image)
    alone = torch.cat([model(image[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_sources_of_a_pair_share_one_bank(image):
    model = trained_looking(SMALL)
    a, b = model.decompose_together(torch.stack([image, image.flip(-1) ** 2]))
    assert all(torch.equal(x, y) for x, y in zip(a.boundaries, b.boundaries, strict=True))
    alone = model.decompose(image)
    assert not torch.equal(alone.boundaries[0], a.boundaries[0])


def test_given_boundaries_are_used(image):
    model = trained_looking(SMALL)
    source = model.decompose(image)
    other = model.decompose(image.flip(-2) ** 2, source.boundaries)
    assert all(torch.equal(x, y) for x, y in zip(source.boundaries, other.boundaries, strict=True))


def test_map_replaces_by_name(image):
    parts = SigFormer(SMALL).decompose(image)
    changed = parts.map(lambda name, values: values + 1 if name == "H2_1" else values)
    assert torch.equal(changed["H2_1"], parts["H2_1"] + 1)
    assert all(torch.equal(changed[name], parts[name]) for name in parts.names() if name != "H2_1")


@torch.no_grad()
def test_low_means_smooth():
    photo = torch.from_numpy(skimage.data.camera()[64:320:2, 100:356:2].astype("float32") / 255)[None, None]
    model = SigFormer(SigFormerConfig(skip="none")).eval()
    parts = model.decompose(photo)
    low = model.reconstruct(replace(parts, high=tuple(torch.zeros_like(h) for h in parts.high)))
    detail = model.reconstruct(replace(parts, low=torch.zeros_like(parts.low)))
    assert float(low.mean() - photo.mean()) == pytest.approx(0, abs=0.02)
    assert float(detail.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(sobel_magnitude(low).mean()) < 0.35 * float(sobel_magnitude(photo).mean())
    for along in (-1, -2):  # in both directions
        assert float(low.diff(dim=along).abs().mean()) < 0.35 * float(photo.diff(dim=along).abs().mean())


@pytest.mark.parametrize("bad", [{"width": 10, "heads": 4}, {"bands": 1}, {"pools": ()}, {"colour": 3},
                                 {"patch": 3}, {"signal": "fft"}])  # fmt: skip
def test_bad_configurations_are_refused(bad):
    with pytest.raises(ValidationError):
        SigFormerConfig(**bad)


@pytest.mark.parametrize(
    ("planes", "words"),
    [
        (torch.rand(1, 1, 8, 64), "8x64: sides must be multiples of 4, at least 16"),
        (torch.rand(1, 1, 33, 64), "33x64: .*run_padded"),
        (torch.rand(1, 3, 64, 64), r"shape \(1, 3, 64, 64\)"),
        (torch.zeros(1, 1, 64, 64, dtype=torch.uint8), "torch.uint8"),
    ],
)
def test_planes_that_cannot_be_decomposed(planes, words):
    with pytest.raises(ValueError, match=words):
        SigFormer(SMALL)(planes)


@torch.no_grad()
def test_half_precision_changes_less_than_a_grey_level(image):
    """On a GPU training and synthesis run in bfloat16; a CPU has it too. FFTs and the last sum stay in float32."""
    model = trained_looking(SMALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(image)
    difference = (half - model(image)).abs().mean() * 255
    assert half.dtype == torch.float32 and 0 < float(difference) < 1


@torch.no_grad()
def test_the_traced_graph_gives_the_same(image):
    """``torch.compile``; the cheap backend, since what can break is the capture."""
    model = trained_looking(SMALL)
    expected = model(image)
    torch.testing.assert_close(torch.compile(model, backend="aot_eager")(image), expected, atol=1e-5, rtol=1e-4)
