import numpy as np
import pytest
import skimage.data
import torch

from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of
from sigforge.methods.sigfusion.plgn import Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.synthesis.channels import channels_of, task_channels
from sigforge.synthesis.synthesizer import Synthesizer, fit_square, focus_mask

PHOTO = skimage.data.chelsea()[:96, 100:196].astype(np.float32) / 255


def synthesizer(task, *, trained=False, **options):
    torch.manual_seed(0)
    plgn = Plgn(
        SigFormer(SigFormerConfig(width=16, heads=2, skip="none")),
        tuple(channel.name for channel in task_channels(task)),
    )
    if trained:
        with torch.no_grad():
            for parameter in plgn.modulators.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return Synthesizer(plgn, task, **options)


@pytest.mark.parametrize(
    ("task", "channels"),
    [("vif", (1, 3)), ("mfif", (3, 3)), ("mef", (3, 3))],
)
def test_colour_follows_the_modality(task, channels):
    pair = synthesizer(task).pair(PHOTO, 0)
    assert tuple(1 if image.ndim == 2 else image.shape[2] for image in (pair.a, pair.b)) == channels
    assert pair.a.dtype == np.float32 and pair.a.shape[:2] == PHOTO.shape[:2]
    assert 0 <= pair.a.min() and pair.b.max() <= 1


def test_medical_subtasks_take_turns():
    made = [synthesizer("mif").pair(PHOTO, index) for index in range(4)]
    assert [pair.subtask for pair in made] == ["mri-ct", "mri-pet", "mri-spect", "mri-ct"]
    assert [pair.a.ndim for pair in made] == [2, 3, 3, 2] and all(pair.b.ndim == 2 for pair in made)


def test_only_kinds_of_pair_that_were_trained_are_made():
    channels = tuple(channel.name for name in ("ct", "mri") for channel in channels_of(name))
    plgn = Plgn(SigFormer(SigFormerConfig(width=16, heads=2, skip="none")), channels)
    assert {Synthesizer(plgn, "mif").pair(PHOTO, index).subtask for index in range(3)} == {"mri-ct"}
    with pytest.raises(UserError, match="modulators for ct, mri makes no pair of vif"):
        Synthesizer(plgn, "vif")


def test_untrained_modulators_return_the_photograph():
    pair = synthesizer("mfif", focus_mix=False).pair(PHOTO, 0)
    np.testing.assert_allclose(pair.a, PHOTO, atol=2e-3)


def test_pair_depends_on_seed_and_index_only():
    first = synthesizer("mfif", trained=True).pair(PHOTO, 3)
    again = synthesizer("mfif", trained=True).pair(PHOTO, 3)
    other = synthesizer("mfif", trained=True).pair(PHOTO, 4)
    np.testing.assert_array_equal(first.a, again.a)
    assert np.abs(first.a - other.a).max() > 0.01 and first.facts == again.facts


def test_focus_mix_is_complementary():
    maker = synthesizer("mfif", trained=True, seed=5)
    plain = synthesizer("mfif", trained=True, seed=5, focus_mix=False).pair(PHOTO, 1)
    mixed = maker.pair(PHOTO, 1)
    mask = focus_mask(96, 96, rng_of(5, "synth", "mfif", 1))[..., None]
    np.testing.assert_allclose(mixed.a, mask * PHOTO + (1 - mask) * plain.a, atol=1e-5)
    np.testing.assert_allclose(mixed.b, (1 - mask) * PHOTO + mask * plain.b, atol=1e-5)
    assert mixed.facts["focus_mix"] is True and plain.facts["focus_mix"] is False


def test_masks_are_smooth_balanced_and_decided():
    masks = [focus_mask(128, 128, np.random.default_rng(seed)) for seed in range(8)]
    for mask in masks:
        assert mask.min() >= 0 and mask.max() <= 1
        assert 0.4 < mask.mean() < 0.6
        assert ((mask < 0.1) | (mask > 0.9)).mean() > 0.4
        assert np.abs(np.diff(mask, axis=0)).max() < 0.5


def test_grey_photographs_work():
    pair = synthesizer("mef").pair(PHOTO[..., 0], 0)
    assert pair.a.shape == (96, 96, 3)


def test_fit_square_shrinks_and_crops_the_middle():
    image = np.zeros((100, 300), np.float32)
    image[:, 100:200] = 1
    assert fit_square(image, 50).mean() > 0.99
    assert fit_square(np.zeros((101, 157, 3), np.float32), 64).shape == (64, 64, 3)
    with pytest.raises(UserError, match="40x300 is smaller than synth.size 64"):
        fit_square(np.zeros((40, 300), np.float32), 64)


def test_pseudo_colour_reads_luma_and_exposure_reads_chroma():
    assert [(c.source, c.target) for c in channels_of("pet")] == [("y", "y"), ("y", "cb"), ("y", "cr")]
    assert [(c.source, c.target) for c in channels_of("over")] == [("y", "y"), ("cb", "cb"), ("cr", "cr")]
    assert [c.name for c in task_channels("vif")] == ["ir", "vis"]
