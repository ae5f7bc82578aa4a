"""Per-source parts: each is its metric where that source is the only one; copies and collages cannot please them."""

import pytest
import torch

from sigforge.metrics import get_metric, list_metrics, score, select_metrics
from sigforge.metrics.context import MetricContext
from sigforge.metrics.parts import DIVIDED
from sigforge.metrics.registry import BOTH, DISTANCES


def levels(*images):
    return torch.stack([image.squeeze(1).double().mul(255).round() for image in images])


@pytest.mark.parametrize("divided", DIVIDED, ids=lambda divided: divided.stem)
@pytest.mark.parametrize("size", [(64, 64), (45, 60), (47, 53)])
def test_a_part_is_the_metric_with_one_source(scene, divided, size) -> None:
    fused, a, b = scene(*size, batch=2)
    names = [f"{divided.stem}_{part}" for part in ("a", "b", "min")]
    found = score(fused, a, b, metrics=names)
    alone = [get_metric(divided.whole).function(MetricContext(levels(source, fused))) for source in (a, b)]
    for name, expected in zip(names, (*alone, torch.minimum(*alone)), strict=True):
        torch.testing.assert_close(found[name], expected, rtol=1e-6, atol=1e-9)


def test_parts_add_up_to_the_wholes_that_are_sums(scene) -> None:
    found = score(*scene(90, 80), metrics="all")
    for whole, stem in (("mi", "mi"), ("vif_sum", "vif"), ("ssim_sum", "ssim")):
        torch.testing.assert_close(found[whole], found[f"{stem}_a"] + found[f"{stem}_b"])
    torch.testing.assert_close(found["fmi_symmetric"], (found["fmi_a"] + found["fmi_b"]) / 2)


def test_the_smaller_part_of_a_copy_is_what_the_other_source_gets_of_it(scene) -> None:
    _, a, b = scene(96, 96)
    stems = [divided.stem for divided in DIVIDED]
    names = [f"{stem}_{part}" for stem in stems for part in ("a", "b", "min")]
    copy, mean = (score(image, a, b, metrics=names) for image in (a, ((a + b) / 2).mul(255).round() / 255))
    for stem in stems:
        assert copy[f"{stem}_a"] > copy[f"{stem}_b"] == copy[f"{stem}_min"], stem
    # What a copy lacks the plainest fusion has.
    for stem in ("q_g", "q_p", "vif", "ssim"):
        assert mean[f"{stem}_min"] > copy[f"{stem}_min"], stem


def test_a_collage_of_any_tiles_shows_no_more_at_a_place_than_a_copy(scene) -> None:
    _, a, b = scene(96, 96)
    copy = score(a, a, b, metrics="ssim_local_min")["ssim_local_min"]
    torch.testing.assert_close(copy, score(a, a, b, metrics="ssim_b")["ssim_b"])
    generator = torch.Generator().manual_seed(0)
    for side in (24, 48):
        tiles = torch.rand(1, 1, 96 // side, 96 // side, generator=generator) < 0.5
        chosen = tiles.repeat_interleave(side, 2).repeat_interleave(side, 3)
        collage = torch.where(chosen, a, b)
        assert score(collage, a, b, metrics="ssim_local_min")["ssim_local_min"] < copy + 0.02
    assert score((a + b) / 2, a, b, metrics="ssim_local_min")["ssim_local_min"] > copy + 0.1


def test_distances_tell_a_copy(scene) -> None:
    _, a, b = scene()
    found = score(a, a, b, metrics="distance_a,distance_b,balance")
    assert found["distance_a"] == 0 == found["balance"]
    torch.testing.assert_close(found["distance_b"], 255 * (a - b).abs().double().mean((1, 2, 3)), rtol=1e-6, atol=0)
    assert score((a + b) / 2, a, b, metrics="balance")["balance"] > 0.97


def test_the_word_both_and_what_ranks_count() -> None:
    assert [entry.name for entry in select_metrics("both")] == [*BOTH, *DISTANCES]
    parts = {f"{divided.stem}_{part}" for divided in DIVIDED for part in ("a", "b", "min")}
    assert parts <= set(list_metrics())
    assert not any(get_metric(name).ranked for name in (*parts, *DISTANCES, "balance", "ssim_local_min"))
    assert get_metric("nabf").ranked and get_metric("vif_sum").ranked


def test_what_no_part_can_say_is_nan_in_the_smaller_too(scene) -> None:
    fused, a, _ = scene()
    flat = torch.full_like(a, 0.5)
    found = score(fused, a, flat, metrics="vif_a,vif_b,vif_min,q_m_a,q_m_min,mi_min")
    assert found["vif_a"].isfinite() and found["vif_b"].isnan() and found["vif_min"].isnan()
    assert found["q_m_a"].isfinite() and found["q_m_min"].isnan() and found["mi_min"] == 0
