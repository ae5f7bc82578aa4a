import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sigforge.core.colour import (
    COLOUR_POLICIES,
    carry_chroma,
    colour_policy,
    describe,
    is_grey,
    luma,
    restore_colour,
    rgb_to_ycbcr,
    ycbcr_to_rgb,
)
from sigforge.core.errors import UserError
from sigforge.dataset.tasks import MODALITIES, TASKS

ROOT = Path(__file__).parents[2]
REPEATABLE = settings(derandomize=True, database=None, deadline=None)
RGB = arrays(np.float64, (3, 4, 3), elements=st.floats(0, 1))


def batch(image):
    """(H, W[, 3]) array to a (1, C, H, W) tensor."""
    return torch.from_numpy(np.atleast_3d(image).transpose(2, 0, 1).copy())[None]


def random_image(seed, *shape):
    return np.random.default_rng(seed).random(shape)


@REPEATABLE
@given(RGB)
def test_inverse_is_exact(image):
    assert np.abs(ycbcr_to_rgb(rgb_to_ycbcr(image)) - image).max() < 1e-12
    single = image.astype(np.float32)
    back = ycbcr_to_rgb(rgb_to_ycbcr(single))
    assert back.dtype == np.float32 and np.abs(back - single).max() < 1e-6


@REPEATABLE
@given(RGB)
def test_planes_stay_in_range_and_torch_agrees(image):
    planes = rgb_to_ycbcr(image)
    assert planes.min() >= -1e-12 and planes.max() <= 1 + 1e-12
    assert torch.allclose(rgb_to_ycbcr(batch(image)), batch(planes), atol=1e-14)
    assert torch.allclose(ycbcr_to_rgb(batch(planes)), batch(image), atol=1e-12)
    assert torch.allclose(luma(batch(image)), batch(luma(image)), atol=1e-14)


def test_matches_the_jpeg_conversion_of_pillow():
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    theirs = np.asarray(PIL.Image.fromarray(rgb).convert("YCbCr"), np.float64)
    ours = rgb_to_ycbcr(rgb / 255) * 255 + [0, 0.5, 0.5]  # JPEG's neutral is 128 of 255, half a level above ours
    assert np.abs(ours - theirs).max() <= 1.01


def test_matrix_of_the_standard():
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    rgb = random_image(1, 5, 6, 3)
    assert np.allclose(rgb_to_ycbcr(rgb), rgb @ matrix.T + [0, 0.5, 0.5], atol=1e-6)


def test_luma_of_grey_is_itself():
    grey = random_image(2, 5, 6)
    assert luma(grey) is grey
    assert np.allclose(luma(np.stack([grey] * 3, -1)), grey)
    assert luma(batch(grey)).shape == (1, 1, 5, 6)


def test_is_grey():
    grey = random_image(3, 5, 6)
    three = np.stack([grey] * 3, -1)
    tinted = three.copy()
    tinted[2, 3, 1] += 1e-3
    assert is_grey(grey) and is_grey(three) and not is_grey(tinted)
    assert is_grey(batch(grey)) and is_grey(batch(three))
    assert not is_grey(torch.cat([batch(three), batch(tinted)]))


def test_wrong_number_of_channels():
    with pytest.raises(ValueError, match="three channels"):
        rgb_to_ycbcr(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="three channels"):
        ycbcr_to_rgb(torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("stored_as", ["one channel", "three equal channels"])
def test_a_lone_coloured_source_gives_its_chroma(swap, stored_as):
    colour, grey = 0.25 + random_image(4, 5, 6, 3) / 2, random_image(5, 5, 6)
    grey = grey if stored_as == "one channel" else np.stack([grey] * 3, -1)
    fused = np.full((5, 6), 0.5)
    out = restore_colour(fused, *((grey, colour) if swap else (colour, grey)), "vif")
    wanted = rgb_to_ycbcr(colour)
    wanted[..., 0] = fused
    assert np.allclose(out, ycbcr_to_rgb(wanted).clip(0, 1), atol=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_two_grey_sources_give_a_grey_result(task):
    a, b = random_image(6, 5, 6), random_image(7, 5, 6)
    out = restore_colour(a * 3 - 1, a, np.stack([b] * 3, -1), task)
    assert np.array_equal(out, (a * 3 - 1).clip(0, 1))
    assert restore_colour(batch(a), batch(a), batch(b), task).shape == (1, 1, 5, 6)


def test_two_coloured_sources_weigh_by_distance_from_neutral():
    def pixel(cb, cr):
        return ycbcr_to_rgb(np.array([[[0.5, cb, cr]]]))

    cb, cr = carry_chroma(pixel(0.7, 0.5), pixel(0.4, 0.2))
    # Cb: distances 0.2 and 0.1, so (0.2 * 0.7 + 0.1 * 0.4) / 0.3; Cr: a is neutral, so b's alone
    assert cb == pytest.approx(0.6) and cr == pytest.approx(0.2)
    swapped = carry_chroma(pixel(0.4, 0.2), pixel(0.7, 0.5))
    assert np.allclose(swapped, (cb, cr))


def test_neutral_pixels_of_coloured_sources_stay_neutral():
    a, b = random_image(8, 5, 6, 3), random_image(9, 5, 6, 3)
    a[2, 2], b[2, 2] = 0.0, 0.0
    cb, cr = carry_chroma(a, b)
    assert cb[2, 2] == cr[2, 2] == 0.5
    assert np.isfinite(cb).all()


@REPEATABLE
@given(RGB, RGB)
def test_fused_chroma_lies_between_the_sources_and_torch_agrees(a, b):
    out = restore_colour(luma(a), a, b, "mef")
    assert torch.allclose(restore_colour(batch(luma(a)), batch(a), batch(b), "mef"), batch(out), atol=1e-9)
    if (chroma := carry_chroma(a, b)) is not None:
        for plane, x, y in zip(
            chroma, *((rgb_to_ycbcr(i)[..., 1], rgb_to_ycbcr(i)[..., 2]) for i in (a, b)), strict=True
        ):
            assert (plane >= np.minimum(np.minimum(x, y), 0.5) - 1e-12).all()
            assert (plane <= np.maximum(np.maximum(x, y), 0.5) + 1e-12).all()


@REPEATABLE
@given(RGB)
def test_fusing_an_image_with_itself_returns_it(image):
    out = restore_colour(luma(image), image, image, "mfif")
    assert np.allclose(out if out.ndim == 3 else out[..., None], image, atol=1e-9)


def test_result_is_clamped_to_the_gamut():
    blue = np.zeros((2, 2, 3))
    blue[..., 2] = 1
    out = restore_colour(np.full((2, 2), 0.9), blue, np.zeros((2, 2)), "mif")
    assert out.min() >= 0 and out.max() == 1


def test_gradient_reaches_the_fused_luma():
    y = torch.full((1, 1, 4, 4), 0.5, requires_grad=True)
    a, b = torch.rand(1, 3, 4, 4) * 0.2 + 0.4, torch.rand(1, 3, 4, 4) * 0.2 + 0.4
    restore_colour(y, a, b, "mef").sum().backward()
    assert torch.allclose(y.grad, torch.full_like(y, 3.0))  # luma moves R, G and B alike


def test_policies_name_every_task_and_modality():
    assert tuple(COLOUR_POLICIES) == TASKS
    for task, policy in COLOUR_POLICIES.items():
        assert set(policy.synthesis) == {name for pair in MODALITIES[task].values() for name in pair}
        assert describe(task) == f"{task}: {policy.summary}" and "\n" not in describe(task)
    rules = {name: rule for policy in COLOUR_POLICIES.values() for name, rule in policy.synthesis.items()}
    assert {name for name, rule in rules.items() if rule == "modulate"} == {"pet", "spect", "under", "over"}
    assert {name for name, rule in rules.items() if rule == "keep"} == {"vis", "near", "far"}
    assert {name for name, rule in rules.items() if rule == "drop"} == {"ir", "ct", "mri"}


def test_unknown_task():
    with pytest.raises(UserError, match=r"'x' is unknown: choose one of vif, mif, mfif, mef"):
        colour_policy("x")


def test_reading_images_does_not_load_torch():
    code = "import sys, sigforge.core.images, sigforge.dataset.sources.folders; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
