"""The demo photographs: distinct, licensed, reproducible tiles."""

import hashlib
from itertools import combinations

import numpy as np
import pytest

from sigforge.core.errors import UserError
from sigforge.dataset.sources import demo


def digest(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


@pytest.mark.parametrize("size", [64, 97, 128, 192, 256])
def test_every_tile_is_a_distinct_rgb_picture_with_detail(size):
    photos = list(demo.photographs(demo.available(size), size, seed=0))
    assert len({photo.photo_id for photo in photos}) == len(photos)
    assert len({digest(photo.image) for photo in photos}) == len(photos)
    for photo in photos:
        assert photo.image.shape == (size, size, 3) and photo.image.dtype == np.uint8
        assert photo.image.std() > 4


@pytest.mark.parametrize(("size", "enough"), [(128, 130), (192, 40)])
def test_how_many_tiles_there_are(size, enough):
    assert demo.available(size) >= enough


def test_the_first_tiles_do_not_overlap_and_none_overlaps_by_much_more_than_half():
    size = 128
    tiles = demo._tiles(size)
    for one, other in combinations(tiles, 2):
        if one.base == other.base:
            shared = max(0, size - abs(one.top - other.top)) * max(0, size - abs(one.left - other.left))
            assert shared <= (0 if one.overlap == other.overlap < 2 else 0.55 * size * size)
    first = list(demo.photographs(46, size, seed=3))
    lattice = {f"{tile.base}-{tile.number:02d}": tile.overlap for tile in tiles}
    assert {lattice[photo.photo_id] for photo in first} == {0}


def test_tiles_are_cut_from_the_photograph_they_name():
    photo = next(demo.photographs(1, 96, seed=5))
    base = demo.base_image(photo.photo_id.split("-")[0])
    corners = np.argwhere((base == photo.image[0, 0]).all(axis=-1))
    assert any(np.array_equal(base[y : y + 96, x : x + 96], photo.image) for y, x in corners)


def test_the_same_call_gives_the_same_bytes_and_a_longer_one_begins_alike():
    short = [digest(photo.image) for photo in demo.photographs(5, 96, seed=1)]
    assert short == [digest(photo.image) for photo in demo.photographs(60, 96, seed=1)][:5]
    assert short != [digest(photo.image) for photo in demo.photographs(5, 96, seed=2)]


def test_an_id_names_the_same_pixels_under_every_seed():
    one = {photo.photo_id: digest(photo.image) for photo in demo.photographs(demo.available(128), 128, seed=1)}
    two = {photo.photo_id: digest(photo.image) for photo in demo.photographs(demo.available(128), 128, seed=2)}
    assert one == two


def test_licences_are_open_and_complete():
    photos = list(demo.photographs(demo.available(128), 128, seed=0))
    assert {photo.source for photo in photos} == {f"scikit-image: {name}" for name in demo.TILED}
    for photo in photos:
        assert photo.licence in ("CC0-1.0", "public domain")
        assert photo.licence_url.startswith("https://") and photo.author
        assert photo.allows_derivatives and photo.allows_commercial


def test_a_photograph_without_a_named_licence_claims_no_rights_and_gives_no_tiles():
    origin = demo.ORIGINS["motorcycle"]
    assert not origin.allows_derivatives and not origin.allows_commercial
    assert "motorcycle" not in demo.TILED


@pytest.mark.parametrize("name", sorted(demo.ORIGINS))
def test_base_images_are_rgb_and_cannot_be_written_to(name):
    image = demo.base_image(name)
    assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 0


def test_a_tile_can_be_written_to_without_harm():
    next(demo.photographs(1, 96, seed=0)).image[:] = 0
    assert next(demo.photographs(1, 96, seed=0)).image.any()


@pytest.mark.parametrize(
    ("count", "size", "says"),
    [(demo.available(128) + 1, 128, "0 to 139"), (-1, 128, "-1 asked for"), (1, 600, "600 px"), (1, 0, "0 px")],
)
def test_bad_requests_fail_at_once_and_name_the_mend(count, size, says):
    with pytest.raises(UserError, match=says):
        demo.photographs(count, size, seed=0)


def test_an_unknown_base_is_a_user_error():
    with pytest.raises(UserError, match="astronaut"):
        demo.base_image("lena")


def test_nothing_asked_for_is_nothing():
    assert list(demo.photographs(0, 128, seed=0)) == []
