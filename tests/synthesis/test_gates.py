from dataclasses import replace

import numpy as np
import pytest

from components.manifest import Photo
from components.synthesis.gates import Gates, refuse_pair, refused_photos

PHOTO = np.random.default_rng(0).random((32, 32), np.float32)
A, B = np.sqrt(PHOTO), PHOTO**2


def photo(number, **changes):
    terms = ("s", "CC0", "", "", True, True)
    return replace(Photo(f"p{number}", f"{number}.png", f"{number:064x}", f"{number * 0x1F3F5F7F9F:016x}", 64, 64, 3, *terms), **changes)


def spoilt(image, value):
    image = image.copy()
    image[0, 0] = value
    return image


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (A, B, None),
        (spoilt(A, np.nan), B, "not_finite"),
        (A, spoilt(B, np.inf), "not_finite"),
        (A, np.full_like(B, 0.4), "constant: b"),
        (np.where(PHOTO > 0.98, 0.5, 1).astype(np.float32), B, "saturated"),
        (A, A, "identical"),
        (PHOTO, PHOTO, "unchanged"),
        (PHOTO, B, None),
    ],
)
def test_every_gate_of_a_pair(a, b, reason):
    verdict = refuse_pair(PHOTO, a, b, Gates())
    assert verdict is None if reason is None else verdict.startswith(reason)


def test_gates_are_configurable():
    assert refuse_pair(PHOTO, A, B, Gates(min_difference=200)).startswith("identical")
    assert refuse_pair(PHOTO, A, B, Gates(min_change=200)).startswith("unchanged")
    assert refuse_pair(PHOTO, A, B, Gates(min_std=120)).startswith("constant: a")
    assert refuse_pair(PHOTO, PHOTO, PHOTO, Gates(), may_keep=True) is None


def test_every_gate_of_a_photograph():
    photos = [
        photo(0),
        photo(1, sha256=photo(0).sha256),
        photo(2, phash=photo(0).phash),
        photo(3, licence="CC BY-NC-ND 2.0", allows_derivatives=False),
        photo(4, licence="unknown", allows_derivatives=False),
        photo(5, sha256=photo(3).sha256),
        photo(6),
    ]
    test_image = f"{int(photo(6).phash, 16) ^ 0b1011:016x}"
    refused = refused_photos(photos, Gates(), [test_image])
    assert {n: verdict.split(":")[0] for n, verdict in refused.items()} == {
        1: "duplicate", 2: "duplicate", 3: "licence", 6: "evaluation"
    }  # 5 stays: the photograph it repeats was itself refused
    assert 6 not in refused_photos(photos, Gates(evaluation_bits=2), [test_image])
    assert 4 in refused_photos(photos, Gates(derivatives="granted"))
    assert refused_photos(photos, Gates(derivatives="any", duplicates=False)) == {}
