import base64

import numpy as np
import pytest

from sigforge.core.images import decode_bytes, to_uint8, write_image
from sigforge.dataset.tables import Pair
from sigforge.evaluation.score_rows import ScoreRow
from sigforge.metrics import get_metric
from sigforge.report.gallery import OVERVIEW, ZoomWindow, disagreement, pair_scene, picture, scores_of


def decoded(uri: str) -> np.ndarray:
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    return decode_bytes(base64.b64decode(data), "uri")[0]


def noise(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


@pytest.mark.parametrize("shape", [(96, 96), (97, 131), (24, 200)])
def test_crop_is_where_only_one_source_has_texture(shape):
    a = np.full(shape, 0.5, np.float32)
    b = a.copy()
    top, left = shape[0] // 2, shape[1] // 2
    b[top : top + 8, left : left + 8] += np.indices((8, 8)).sum(0) % 2 * 0.4
    crop = disagreement(a, b)
    assert crop.top <= top + 1 and top + 7 <= crop.top + crop.side
    assert crop.left <= left + 1 and left + 7 <= crop.left + crop.side
    assert crop.side == min(max(24, min(shape) // 4), min(shape))


def test_equal_texture_in_both_sources_does_not_attract_the_crop():
    a = np.zeros((128, 128), np.float32)
    a[4:20, 4:20] = np.indices((16, 16)).sum(0) % 2
    b = a.copy()
    b[90:100, 100:110] = 0.5
    crop = disagreement(a, b)
    assert crop.top + crop.side > 90 and crop.left + crop.side > 100


def test_crop_keeps_exact_pixels_of_the_full_image():
    image = noise(400, 640)
    shown = picture(image, "x", crop=ZoomWindow(100, 37, 50))
    assert np.array_equal(to_uint8(decoded(shown.crop)), to_uint8(image)[100:150, 37:87])


def test_overview_is_shrunk_and_its_frame_scales_with_it():
    shown = picture(noise(400, 640), "x", crop=ZoomWindow(100, 160, 40))
    assert (shown.width, shown.height) == (OVERVIEW, 200)
    assert decoded(shown.uri).shape[:2] == (200, OVERVIEW)
    assert shown.frame == "left:25.00%;top:25.00%;width:6.25%;height:10.00%"


def test_small_images_keep_their_size():
    assert (picture(noise(65, 43), "x").height, picture(noise(65, 43), "x").width) == (65, 43)


def test_pair_scene_cuts_all_images_at_one_place(tmp_path):
    rng = np.random.default_rng(3)
    images = {name: to_uint8(rng.random((80, 96))) for name in ("a", "b", "mean")}
    for name, image in images.items():
        write_image(tmp_path / f"{name}.png", image)
    a, b, fused = (str(tmp_path / f"{name}.png") for name in images)
    pair = Pair("p1", "vif", "vif", "test", a, b, "", "", 80, 96, 1, 1, "s", "l")
    scene = pair_scene(pair, {"mean": fused}, {"mean": ("Q_G", "0.5")})
    crop = disagreement(images["a"] / 255, images["b"] / 255)
    assert [shown.label for shown in scene.pictures] == ["ir", "vis", "mean"]
    assert [shown.source for shown in scene.pictures] == [True, True, False]
    assert len({shown.frame for shown in scene.pictures}) == 1
    for shown, image in zip(scene.pictures, images.values(), strict=True):
        assert np.array_equal(to_uint8(decoded(shown.crop))[..., 0], crop.cut(image))
    assert scene.pictures[2].score == ("Q_G", "0.5")


def test_scores_are_those_of_the_pair_and_metric():
    rows = [
        ScoreRow(pair, "vif", "gff", metric, value)
        for pair, metric, value in (("p1", "q_g", 0.25), ("p1", "sd", 9.0), ("p2", "q_g", 0.75))
    ]
    assert scores_of("p1", rows, get_metric("q_g")) == {"gff": ("Q_G", "0.250")}
