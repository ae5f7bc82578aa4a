"""Known displacements are found to half a pixel, in images of two kinds; what cannot be found is refused."""

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from sigforge.core.images import read_image, write_image
from sigforge.dataset.registration.affine import estimate_affine
from sigforge.dataset.registration.flow import estimate_flow
from sigforge.dataset.registration.pairs import register_pair
from sigforge.dataset.registration.shift import estimate_shift
from sigforge.dataset.sources import scenes
from sigforge.dataset.tables import Pair

SIZE = 160
REALDATA = Path(os.environ.get("SIGFORGE_REALDATA", Path(__file__).parents[4] / "shared/data"))


@pytest.fixture(scope="module")
def simulated():
    """Pairs of every task: infrared beside visible, CT beside MR, near beside far, under beside over."""
    found = {task: list(scenes.simulate(task, 2, SIZE, 3)) for task in ("vif", "mfif", "mef", "mif")}
    return {task: [replace(pair, a=unit(pair.a), b=unit(pair.b)) for pair in pairs] for task, pairs in found.items()}


def unit(image):
    return image.astype(np.float32) / 255 if image.dtype == np.uint8 else image


def warped(image, matrix):
    """``image`` read at ``matrix @ (x, y, 1)``."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(
        image.astype(np.float32), matrix, image.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    return np.clip(found, 0, 1)


def moved(dx, dy):
    return np.array([[1, 0, dx], [0, 1, dy]], np.float32)


SHIFTS = [(0, 0), (3.5, -2.25), (-8.75, 5), (0.5, 12.3), (-15, -9.6)]


CLEAR = [("vif", 0), ("vif", 1), ("mfif", 1), ("mef", 0), ("mef", 1), ("mif", 0)]
"""Pairs by task and number; mfif 0 is so blurred that its shift is uncertain."""


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(("task", "number"), CLEAR)
def test_shifts_are_found_to_half_a_pixel(simulated, task, number, shift):
    pair = simulated[task][number]
    found = estimate_shift(pair.a, warped(pair.b, moved(*shift)))
    assert found.certainty > 0.25
    assert abs(found.dx - shift[0]) < 0.5 and abs(found.dy - shift[1]) < 0.5


AFFINE = [
    [[1.02, 0.01, 2.0], [-0.015, 0.99, -3.0]],
    [[0.98, -0.02, -4.0], [0.02, 1.01, 3.5]],
    [[1.0, 0.03, 1.5], [0.0, 1.03, -2.5]],
]


def off(found, matrix):
    """Pixels by which a found map is off, (H, W)."""
    y, x = np.mgrid[:SIZE, :SIZE]
    points = np.stack([x, y, np.ones_like(x)], axis=-1).astype(float)
    return np.linalg.norm(points @ found.T - points @ cv2.invertAffineTransform(matrix).T, axis=-1)


@pytest.mark.parametrize("matrix", AFFINE)
@pytest.mark.parametrize(
    ("task", "number", "middle", "corner"), [("mef", 0, 0.1, 0.5), ("mef", 1, 0.1, 0.5), ("vif", 0, 0.5, 1)]
)
def test_affine_maps_are_found_to_half_a_pixel(simulated, task, number, middle, corner, matrix):
    """Between infrared and visible in the mean over the image; between exposures in every corner, too."""
    matrix = np.array(matrix, np.float32)
    pair = simulated[task][number]
    found = estimate_affine(pair.a, warped(pair.b, matrix))
    assert found.certainty > 0.25
    assert off(found.matrix, matrix).mean() < middle and off(found.matrix, matrix).max() < corner


@pytest.mark.skipif(not REALDATA.is_dir(), reason="no real images: set SIGFORGE_REALDATA")
@pytest.mark.parametrize(("near", "far"), [("mfif/mfifb/near", "mfif/mfifb/far"), ("mef/mefb/under", "mef/mefb/over")])
def test_real_pairs_warped_by_known_amounts(near, far):
    apart = []
    for path in sorted((REALDATA / near).iterdir())[::18]:
        a, b = (read_image(REALDATA / folder / path.name)[0] for folder in (near, far))
        still = estimate_shift(a, b)
        found = estimate_shift(a, warped(b, moved(4.5, -7.25)))
        if still.certainty > 0.25:
            apart.append(np.hypot(found.dx - still.dx - 4.5, found.dy - still.dy + 7.25))
    assert len(apart) >= 2 and max(apart) < 0.5


def test_foreign_scenes_and_blank_images_are_uncertain(simulated):
    one, other = simulated["vif"]
    assert estimate_shift(one.a, other.b).certainty < 0.25
    assert estimate_affine(one.a, other.b).certainty < 0.25
    assert estimate_shift(one.a, np.full_like(one.a, 0.5)).certainty == 0


def test_flow_finds_a_smooth_displacement(simulated):
    pair = simulated["mef"][0]
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    bend = 2 * np.sin(2 * np.pi * y / SIZE)
    bent = cv2.remap(pair.b.astype(np.float32), x + bend, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    found = estimate_flow(pair.a, bent)
    inner = np.s_[24:-24, 24:-24]
    assert found.certainty > 0.7
    assert np.abs(found.field[..., 0] + bend)[inner].mean() < np.abs(bend)[inner].mean() / 2


@pytest.fixture
def pair(simulated, tmp_path):
    made = simulated["vif"][0]
    paths = [str(tmp_path / f"{side}.png") for side in "ab"]
    write_image(paths[0], warped(made.a, moved(6, -4)))
    write_image(paths[1], made.b)
    return Pair("p", "vif", "vif", "", *paths, "1", "2", SIZE, SIZE, 1, 3, "s", "CC0")


def test_a_pair_is_laid_on_its_partner_and_cut(pair, tmp_path):
    changed, record = register_pair(pair, "shift", tmp_path / "out")
    assert record.applied and record.reason == "" and record.a_path == pair.a_path
    assert abs(record.dx - 6) < 0.5 and abs(record.dy + 4) < 0.5
    assert (changed.height, changed.width) == (SIZE - 4, SIZE - 6) or abs(changed.height - SIZE + 4) <= 1
    a, b = (read_image(path)[0] for path in (changed.a_path, changed.b_path))
    assert a.shape[:2] == b.shape[:2] == (changed.height, changed.width)
    assert estimate_shift(b, a).length < 0.25
    assert changed.a_sha256 != pair.a_sha256 and read_image(pair.a_path)[0].shape == (SIZE, SIZE)


def test_a_report_changes_nothing(pair, tmp_path):
    changed, record = register_pair(pair, "report", tmp_path / "out")
    assert changed == pair and not record.applied and record.reason == "reported" and record.displacement > 5
    assert not (tmp_path / "out").exists()


def test_what_is_aligned_uncertain_or_too_far_stays_as_it_is(pair, simulated, tmp_path):
    write_image(pair.a_path, simulated["vif"][0].a)
    assert register_pair(pair, "shift", tmp_path / "out")[1].reason == "aligned"
    write_image(pair.a_path, simulated["vif"][1].a)
    for how in ("shift", "affine"):
        changed, record = register_pair(pair, how, tmp_path / "out")
        assert changed == pair and record.reason == "uncertain" and not record.applied
