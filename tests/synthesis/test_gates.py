from dataclasses import replace

import numpy as np
import pytest

from sigforge.dataset.tables import Photo
from sigforge.synthesis.gates import Gates, refuse_pair, refused_photos

PHOTO = np.random.default_rng(0).random((32, 32), np.float32)
A, B = np.sqrt(PHOTO), PHOTO**2


def photo(number, **changes):
    terms = ("s", "CC0", "", "", True, True)
    return replace(
        Photo(f"p{number}", f"{number}.png", f"{number:064x}", f"{number * 0x1F3F5F7F9F:016x}", 64, 64, 3, *terms),
        **changes,
    )


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
        photo(7, height=63, width=200),
    ]
    test_image = f"{int(photo(6).phash, 16) ^ 0b1011:016x}"
    refused = refused_photos(photos, Gates(), [test_image])
    assert {n: verdict.split(":")[0] for n, verdict in refused.items()} == {
        1: "duplicate",
        2: "duplicate",
        3: "licence",
        6: "evaluation",
    }  # 5 stays: the photograph it repeats was itself refused
    assert 6 not in refused_photos(photos, Gates(evaluation_bits=2), [test_image])
    assert 4 in refused_photos(photos, Gates(derivatives="granted"))
    assert refused_photos(photos, Gates(derivatives="any", duplicates=False)) == {}
    told = {1: "too_small: photograph of 63x200 is smaller than synth.size 64"}
    assert refused_photos(photos[6:], Gates(), size=64) == told


def slowly_refused(photos, gates, tests):
    """The same rules, photograph by photograph."""
    refused, bytes_seen, hashes_seen = {}, set(), set()
    for place, item in enumerate(photos):
        distances = [(int(item.phash, 16) ^ int(test, 16)).bit_count() for test in tests]
        if "ND" in item.licence:
            refused[place] = "licence"
        elif min(distances) <= gates.evaluation_bits:
            refused[place] = "evaluation"
        elif item.sha256 in bytes_seen or item.phash in hashes_seen:
            refused[place] = "duplicate"
        else:
            bytes_seen.add(item.sha256)
            hashes_seen.add(item.phash)
    return refused


def test_columns_decide_as_a_loop_would():
    rng = np.random.default_rng(4)
    tests = [f"{value:016x}" for value in rng.integers(0, 1 << 63, 5)]
    photos = []
    for n in range(300):
        content = int(rng.integers(0, 200))
        near = int(tests[content % 5], 16) ^ int(
            sum(1 << int(bit) for bit in rng.choice(64, content % 14, replace=False))
        )
        phash = f"{near:016x}" if content % 3 == 0 else f"{content * 0x9E3779B97F4A7C15 % (1 << 64):016x}"
        licence = "CC BY-ND 2.0" if n % 7 == 0 else "CC BY 2.0"
        photos.append(photo(n, sha256=f"{content:064x}", phash=phash, licence=licence, allows_derivatives=n % 7 != 0))
    refused = {place: verdict.split(":")[0] for place, verdict in refused_photos(photos, Gates(), tests).items()}
    assert refused == slowly_refused(photos, Gates(), tests)
    assert set(refused.values()) == {"licence", "evaluation", "duplicate"} and len(refused) < 250
    assert list(refused) == sorted(refused)
