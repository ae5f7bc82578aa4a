import math

import numpy as np
import pytest

from sigforge.evaluation.both import both_ranks
from sigforge.evaluation.references import REFERENCES, collage, copies, reference_images, references_last
from sigforge.metrics import BOTH

GOOD = {"q_g_min": 0.4, "q_p_min": 0.2, "vif_min": 0.3, "ssim_local_min": 0.6, "nabf": 0.01}
POOR = {"q_g_min": 0.2, "q_p_min": 0.1, "vif_min": 0.2, "ssim_local_min": 0.5, "nabf": 0.05}


def test_ranks_are_squared_and_less_is_better_where_the_metric_says_so() -> None:
    mixed = GOOD | {"nabf": 0.09}
    found = both_ranks({"good": GOOD, "mixed": mixed, "poor": POOR})
    # Ties on four metrics: ranks 1.5, 1.5, 3; on the fifth 1, 3, 2.
    expected = [(4 * 1.5**2 + 1, 5), (4 * 1.5**2 + 9, 5), (4 * 9 + 4, 5)]
    assert list(found.values()) == pytest.approx([math.sqrt(total / n) for total, n in expected])


def test_references_are_placed_and_take_no_rank() -> None:
    methods = {"good": GOOD, "poor": POOR}
    best = dict.fromkeys(GOOD, 0.9) | {"nabf": 0.0}
    worst = dict.fromkeys(GOOD, 0.0) | {"nabf": 0.9}
    found = both_ranks(methods | {"a alone": best, "b alone": worst, "collage": POOR})
    assert found == pytest.approx({"good": 1, "poor": 2, "a alone": 0.5, "b alone": 2.5, "collage": 2})
    assert {name: found[name] for name in methods} == both_ranks(methods)


def test_what_has_no_value_is_last_and_unmeasured_metrics_give_nothing() -> None:
    found = both_ranks({"good": GOOD, "poor": POOR | {"vif_min": math.nan}, "bare": {"nabf": 0.0}})
    assert found["bare"] == pytest.approx(math.sqrt((3 * 3**2 + 2.5**2 + 1) / 5))
    assert both_ranks({"good": {"q_g": 1.0}}) == {} == both_ranks({})
    assert both_ranks({"good": {name: GOOD[name] for name in BOTH if name != "nabf"}}) == {}


def test_a_collage_shows_each_window_of_the_image_whose_contrast_ranks_higher() -> None:
    rng = np.random.default_rng(0)
    a, b = np.full((40, 56), 0.5), np.full((40, 56), 0.2)
    # Contrast is compared by rank: b's faint texture beats the strong one of a, whose other windows are stronger.
    a += rng.uniform(-0.1, 0.1, a.shape)
    a[:16, :16] = 0.5 + rng.uniform(-0.05, 0.05, (16, 16))
    a[16:32, 16:32] += rng.uniform(-0.3, 0.3, (16, 16))
    b[:16, :16] += rng.uniform(-0.01, 0.01, (16, 16))
    made = collage(a, b)
    assert (made[:16, :16] == b[:16, :16]).all() and ((made == a) | (made == b)).all()
    assert (made[16:32, 16:32] == a[16:32, 16:32]).all() and made.shape == a.shape
    assert (collage(a, a) == a).all() and (collage(b, b * 0)[:16, :16] == b[:16, :16]).all()


def test_reference_images_are_the_sources_and_the_collage() -> None:
    a, b = np.random.default_rng(1).random((2, 130, 141), dtype=np.float32)
    images = reference_images(a, b)
    assert tuple(images) == REFERENCES and images["a alone"] is a and images["b alone"] is b
    assert images["collage"].dtype == a.dtype and 0.3 < (images["collage"] == a).mean() < 0.7


def test_a_method_near_a_source_is_called_a_copy() -> None:
    means = {
        "lazy": {"distance_a": 0.5, "distance_b": 39.6},
        "fair": {"distance_a": 19.0, "distance_b": 21.0},
        "a alone": {"distance_a": 0.0, "distance_b": 40.0},
        "b alone": {"distance_a": 40.0, "distance_b": 0.0},
    }
    assert list(copies(means)) == [
        "lazy is within 2 % of a copy of a: 0.5 grey levels from it on average, where a and b are 40 apart"
    ]
    assert not list(copies({"lazy": means["lazy"]})) and not list(copies({"lazy": {}, "b alone": {}}))
    assert not list(copies(means | {"lazy": {"distance_a": 0.9, "distance_b": 39.6}}))


def test_references_stand_last() -> None:
    assert references_last(["collage", "b", "a alone", "a"]) == ["b", "a", "a alone", "collage"]
