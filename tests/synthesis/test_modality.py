import cv2
import numpy as np
import pytest
import skimage.data

from sigforge.methods.sigfusion.prior import STYLE
from sigforge.synthesis.modality import noise_of, restyled, style_of, without_lattice

PHOTO = skimage.data.camera()[::2, ::2].astype(np.float32) / 255


def test_a_style_has_quantiles_bands_and_noise():
    style = style_of(PHOTO)
    assert style.shape == (STYLE,) and style.dtype == np.float32
    assert style[0] == PHOTO.min() and style[16] == PHOTO.max() and style[8] == np.median(PHOTO)
    assert (style[17:] > 0).all()


@pytest.mark.parametrize("sigma", [0.01, 0.04])
def test_noise_is_found_in_spite_of_edges(sigma):
    edges = 0.3 + 0.4 * (np.indices((128, 128))[1] > 60)
    assert noise_of(edges + np.random.default_rng(0).normal(0, sigma, (128, 128))) == pytest.approx(sigma, rel=0.1)


def test_a_plane_takes_the_numbers_of_another():
    rng = np.random.default_rng(1)
    real = np.clip(0.2 + 0.5 * cv2.GaussianBlur(PHOTO, (0, 0), 1.5)[::-1] + rng.normal(0, 0.02, PHOTO.shape), 0, 1)
    style, before = style_of(real), style_of(PHOTO)
    made = restyled(PHOTO, style, np.random.default_rng(0))
    after = style_of(made)
    assert np.abs(after[1:16] - style[1:16]).max() < 0.02 < np.abs(before[1:16] - style[1:16]).max()
    assert after[-1] == pytest.approx(style[-1], rel=0.3)
    # The finest band is mostly noise here; the coarser ones must come nearer.
    assert (np.abs(after - style)[18:21] < np.abs(before - style)[18:21]).sum() >= 2
    np.testing.assert_array_equal(made, restyled(PHOTO, style, np.random.default_rng(0)))


def test_a_flat_plane_stays_finite():
    assert np.isfinite(restyled(np.full((64, 64), 0.5, np.float32), style_of(PHOTO), np.random.default_rng(0))).all()


def test_lattice_goes_and_texture_stays():
    random = np.random.default_rng(0)
    photo = np.full((64, 128), 0.5, np.float32)
    photo[:, 64:] += random.normal(0, 0.1, (64, 64)).astype(np.float32)
    rows, columns = np.indices(photo.shape)
    lattice = 0.02 * np.cos(2 * np.pi * rows / 4) * np.cos(2 * np.pi * columns / 4)
    texture = np.where(columns < 64, 0, random.normal(0, 0.02, photo.shape))
    made = without_lattice((photo + 0.1 + lattice + texture).astype(np.float32), photo)
    flat, textured = ((made - photo - 0.1)[8:-8, where] for where in (slice(8, 48), slice(84, -8)))
    assert np.abs(flat).max() < 0.05 / 255
    kept, repeated = texture[8:-8, 84:-8], lattice[8:-8, 84:-8]
    assert float((textured * repeated).mean()) < 0.1 * float((repeated * repeated).mean())
    assert float((textured * kept).mean()) > 0.9 * float((kept * kept).mean())
