"""Simulated heads: tissue, contrast and emission as the physics says."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_fill_holes

from sigforge.core.seeds import rng_of
from sigforge.dataset.sources.scenes import mif, simulate


def detail(image):
    """Mean squared gradient of a grey image."""
    return np.square(np.gradient(image.astype(float))).sum(axis=0)


def test_tissue_fractions_fill_every_pixel():
    tissues, _ = mif.head("head03", 128, rng_of(0, 0))
    total = sum(tissues.values())
    assert total == pytest.approx(np.ones((128, 128)), abs=1e-5)
    assert min(fraction.min() for fraction in tissues.values()) >= 0
    assert tissues["air"][:5].min() == 1.0 and tissues["grey"].sum() > 500 and tissues["white"].sum() > 500


def test_white_matter_below_the_sulci_has_no_specks():
    depth = np.full((64, 64), 0.4, np.float32)
    canvas = mif._Canvas(64, 0.04)
    canvas.paint("white", depth)
    side = np.full((64, 64), 0.5, np.float32)
    mif._cortex(canvas, side, side, depth, sulcus=np.zeros((64, 64), np.float32))
    assert canvas.tissues["white"].min() == 1.0


def test_ct_is_bright_on_bone_where_mri_is_dark():
    for seed in range(4):
        rng = rng_of(0, seed)
        tissues, _ = mif.head(f"head{seed:02d}", 128, rng)
        bone, brain = tissues["bone"] > 0.95, tissues["grey"] + tissues["white"] > 0.95
        scan = mif.ct(tissues, rng).astype(float)
        assert scan[bone].mean() > 220 and 15 < scan[brain].mean() < 120 and scan[tissues["air"] == 1].mean() < 10
        for sequence in mif.SEQUENCES:
            picture = mif.mri(tissues, sequence, rng_of(0, seed)).astype(float)
            assert picture[bone].mean() < 0.5 * picture[brain].mean()
            # Magnetic resonance tells grey from white better than the CT window does, in units of its noise-free range.
            assert picture[brain].std() / 255 > scan[brain].std() / 255


def test_echo_matches_signal_equations_worked_by_hand():
    assert mif.echo("white", "T1") == pytest.approx(0.71 * (1 - np.exp(-500 / 560)) * np.exp(-12 / 80))
    assert mif.echo("csf", "T2") == pytest.approx((1 - np.exp(-1.0)) * np.exp(-95 / 1500))
    assert mif.echo("csf", "FLAIR") < 0.2 * mif.echo("grey", "FLAIR")  # what the inversion is for
    assert mif.echo("fat", "T1") > mif.echo("white", "T1") > mif.echo("grey", "T1") > mif.echo("csf", "T1")


def test_emission_is_black_outside_hot_in_grey_matter_and_blurred_as_stated():
    tissues, _ = mif.head("head05", 128, rng_of(0, 2))
    outside = ~binary_dilation(tissues["air"] < 0.5, iterations=12)
    sharpness = {}
    for modality in ("pet", "spect"):
        picture = mif.emission(tissues, modality, rng_of(0, 0))
        assert picture[outside].max() <= 25 and picture[outside].mean() < 1
        sharpness[modality] = detail(picture).mean() / picture.var()
    assert sharpness["pet"] > sharpness["spect"]


def test_a_point_source_spreads_to_the_scanners_resolution(monkeypatch):
    monkeypatch.setattr(mif, "colourise", lambda values, scale: values)
    size = 256
    source = np.zeros((size, size), np.float32)
    source[128, 128] = 1e6  # bright enough for Poisson noise not to matter
    counts = mif.emission({"grey": source}, "spect", rng_of(0, 0))
    y = np.arange(size) - 128.0
    variance = (counts * y[:, None] ** 2).sum() / counts.sum()
    width_mm = 2.355 * np.sqrt(variance) / size * mif.HEAD_MM / mif.HEAD_SHARE
    assert width_mm == pytest.approx(np.hypot(10.0, 5.0), rel=0.03)  # the scanner, and a filter half as wide


def test_both_pictures_of_a_head_have_the_same_outline():
    for pair in simulate("mif", 12, 128, seed=6):
        if pair.subtask == "mri-ct":
            skull, scalp = (binary_fill_holes(image) for image in (pair.a > 150, pair.b > 25))
            assert (skull & ~scalp).sum() < 0.01 * skull.sum()
            assert (scalp & ~binary_dilation(skull, iterations=6)).sum() < 0.01 * scalp.sum()
            centres = [np.argwhere(mask).mean(axis=0) for mask in (skull, scalp)]
            assert np.abs(centres[0] - centres[1]).max() < 1


def test_a_head_is_the_same_person_in_every_slice():
    def thickness(name, seed):
        tissues, _ = mif.head(name, 96, rng_of(0, seed))
        return (tissues["bone"] + tissues["marrow"]).sum() / (1 - tissues["air"]).sum()

    skulls = np.array([[thickness(name, seed) for seed in range(4)] for name in mif.BASES[:8]])
    assert skulls.std(axis=1).mean() < 0.3 * skulls.mean(axis=1).std()


@pytest.mark.parametrize("scale", sorted(mif.COLOUR_SCALES))
def test_colour_scales_begin_black_and_hit_their_anchors(scale):
    anchors = mif.COLOUR_SCALES[scale]
    assert mif.colourise(np.linspace(0, 1, len(anchors))[None], scale)[0].tolist() == [list(row) for row in anchors]
    assert mif.colourise(np.full((1, 1), 0.02), scale).max() == 0
