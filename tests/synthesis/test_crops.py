import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigforge.core.errors import UserError
from sigforge.synthesis.crops import APART, PhotoCrop, crop_of

NAMES = (3, "sha")


def crops(height, width, size, count, names=NAMES):
    return [crop_of(height, width, size, number, names) for number in range(count)]


@settings(max_examples=60, deadline=None)
@given(st.integers(64, 400), st.integers(64, 400), st.integers(64, 200))
def test_every_crop_lies_inside_and_is_never_enlarged(height, width, size):
    for number in range(6):
        try:
            crop = crop_of(height, width, size, number, NAMES)
        except UserError:
            continue
        assert crop.side >= size and crop.top >= 0 and crop.left >= 0
        assert crop.top + crop.side <= height and crop.left + crop.side <= width


def test_crops_differ_and_spread_over_the_photograph():
    found = crops(321, 481, 256, 42)
    edges = np.array([(c.top, c.left, c.top + c.side, c.left + c.side) for c in found])
    for n, crop in enumerate(found):
        alike = [
            m for m in range(n) if found[m].flip == crop.flip and abs(edges[m] - edges[n]).max() <= crop.side / APART
        ]
        assert alike == []
    assert {crop.flip for crop in found} == {True, False}
    assert min(edges[:, 1]) < 30 and max(edges[:, 3]) > 451 and {crop.side for crop in found} > {321}


def test_asking_for_more_changes_none_and_names_decide():
    assert [crop_of(321, 481, 256, n, NAMES) for n in (5, 0, 20, 3)] == [
        crops(321, 481, 256, 21)[n] for n in (5, 0, 20, 3)
    ]
    other = crops(321, 481, 256, 5, (3, "another"))
    assert other[0] == crops(321, 481, 256, 1)[0] and other[1:] != crops(321, 481, 256, 5)[1:]


def test_what_cannot_be_cut_is_said():
    with pytest.raises(UserError, match="40x300 is smaller than synth.size 64"):
        crop_of(40, 300, 64)
    assert crop_of(64, 64, 64, 1, NAMES) == PhotoCrop(0, 0, 64, flip=True)
    with pytest.raises(UserError, match="64x64 has room for 2 different crops of 64"):
        crop_of(64, 64, 64, 2, NAMES)


def test_cutting_shrinks_the_square_and_mirrors():
    photo = np.zeros((80, 120, 3), np.float32)
    photo[10:50, 20:40] = 1
    cut = PhotoCrop(10, 20, 40).cut(photo, 20)
    assert cut.shape == (20, 20, 3) and (cut[:, :10] == 1).all() and (cut[:, 10:] == 0).all()
    np.testing.assert_array_equal(PhotoCrop(10, 20, 40, flip=True).cut(photo, 20), cut[:, ::-1])
    np.testing.assert_array_equal(PhotoCrop(10, 20, 20).cut(photo, 20), photo[10:30, 20:40])
