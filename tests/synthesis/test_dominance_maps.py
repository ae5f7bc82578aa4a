"""Pairs that complement each other: maps of real pairs, drawn for photographs, and what becomes of them in shards."""

import dataclasses

import numpy as np
import pytest
import skimage.data
import torch

from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.images import write_image
from sigforge.core.seeds import rng_of
from sigforge.dataset.tables import Pair, Photo
from sigforge.evaluation.realism.likeness import likeness
from sigforge.methods.sigfusion.plgn import KIND, Plgn
from sigforge.methods.sigfusion.prior import DominancePrior
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import save_weights
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import ShardPairs, read_rows
from sigforge.synthesis.channels import task_channels
from sigforge.synthesis.dominance_maps import build_prior, draw_map, following, kept_map, over_segments, segments_of
from sigforge.synthesis.gates import Gates, refuse_alike
from sigforge.synthesis.plan import plan
from sigforge.synthesis.run import make_shards
from sigforge.synthesis.samples import SynthesisRecipe
from sigforge.synthesis.synthesizer import Synthesizer

CONFIG = SigFormerConfig(width=16, heads=2)
PHOTO = skimage.data.chelsea()[:96, 100:196].astype(np.float32) / 255
SIDE = 96


def real_pair(number, subtask="vif", split="train"):
    terms = (SIDE, SIDE, 1, 1, "s", "CC0")
    return Pair(f"real{number}", "vif", subtask, split, f"{number}.a", f"{number}.b", "", "", *terms)


def plane(path):
    """The left half of the even pairs is a's, the right one b's; of the odd ones the other way round."""
    number, side = int(path[0]), path[-1]
    texture = np.random.default_rng(number).random((SIDE, SIDE), dtype=np.float32)
    left = np.arange(SIDE) < SIDE // 2
    mine = left if (side == "a") == (number % 2 == 0) else ~left
    return np.where(mine, 0.3 + 0.5 * texture, 0.2 if side == "a" else 0.6).astype(np.float32)


@pytest.fixture(scope="module")
def plgn():
    torch.manual_seed(0)
    sigformer = SigFormer(CONFIG)
    prior = build_prior(sigformer, [real_pair(number) for number in range(4)], plane)
    names = tuple(channel.name for channel in task_channels("vif"))
    return Plgn(sigformer, names, condition="dominance", prior=prior)


@pytest.fixture(scope="module")
def recipe(plgn, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    architecture = {"sigformer": CONFIG.model_dump(mode="json"), "channels": list(plgn.modulators)}
    save_weights(path, plgn, kind=KIND, config=architecture | {"condition": "dominance", "prior": plgn.prior.facts()})
    return SynthesisRecipe("vif", 7, 64, "webp", True, path, "fingerprint", "cpu", Gates(alike=None))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, terms = tmp_path_factory.mktemp("photos"), ("s", "CC0", "", "somebody", True, True)
    for n in range(6):
        write_image(folder / f"{n}.png", np.roll(PHOTO, 13 * n, axis=1))
    return [Photo(f"p{n}", str(folder / f"{n}.png"), str(n), f"{n}", SIDE, SIDE, 3, *terms) for n in range(6)]


def draw(plgn, number=0, kind="segments", task="vif"):
    return draw_map(plgn.prior, PHOTO, task, "vif", kind, rng_of(1, number))


def test_the_prior_keeps_maps_and_numbers_of_training_pairs(plgn):
    prior = plgn.prior
    assert prior.pairs == ("real0", "real1", "real2", "real3") and prior.maps.dtype == torch.uint8
    shares = prior.maps[:, 3].float() / 255
    assert float(shares[0, :, :12].mean()) > 0.9 and float(shares[1, :, :12].mean()) < 0.15
    assert float(prior.alike[0]) == pytest.approx(likeness(plane("0.a"), plane("0.b")), abs=1e-5)
    assert float(prior.maps[:, -1].float().min()) == 255


def test_other_splits_are_refused(plgn):
    with pytest.raises(UserError, match="pair 'real5' is of the split 'test': draw maps from training pairs only"):
        build_prior(plgn.sigformer, [real_pair(5, split="test")], plane)


def test_as_many_pairs_are_kept_of_each_kind_as_are_asked_for(plgn):
    pairs = [real_pair(number, subtask=kind) for number in range(4) for kind in ("x", "y")]
    assert build_prior(plgn.sigformer, pairs, plane, most=2).subtasks == ("x", "x", "y", "y")


def test_a_draw_depends_on_its_seed_and_names_its_pair(plgn):
    one, again = draw(plgn), draw(plgn)
    np.testing.assert_array_equal(one.maps, again.maps)
    assert one.maps.shape == (7, SIDE, SIDE) and one.maps.dtype == np.float32
    assert one.maps.min() >= 0 and one.maps.max() <= 1 and one.support is None
    found = {draw(plgn, number).facts["dominance_pair"] for number in range(20)}
    assert found == set(plgn.prior.pairs) and one.facts["dominance"] == "segments"


def test_scenes_with_an_up_and_a_down_are_only_mirrored(plgn):
    shares = [draw(plgn, number, "transplant").maps[3] for number in range(12)]
    assert all(np.ptp(share.mean(axis=0)) > 5 * np.ptp(share[20:-20].mean(axis=1)) for share in shares)
    turned = [draw(plgn, number, "transplant", "mfif").maps[3] for number in range(12)]
    assert any(np.ptp(share.mean(axis=0)) < np.ptp(share.mean(axis=1)) for share in turned)


def test_segments_follow_the_photograph(plgn):
    segments = segments_of(PHOTO)
    assert segments.shape == (SIDE, SIDE) and 3 < segments.max() < 200
    maps = np.random.default_rng(0).random((2, SIDE, SIDE), dtype=np.float32)
    laid = over_segments(maps, segments)
    # Inside of a segment little is left of the noise, and the mean of the whole stays.
    largest = segments == np.bincount(segments.ravel()).argmax()
    assert laid[0][largest].std() < 0.45 * maps[0][largest].std()
    np.testing.assert_allclose(laid.mean(axis=(1, 2)), maps.mean(axis=(1, 2)), atol=0.02)


def test_maps_follow_brightness_as_far_as_those_of_the_real_pair():
    random = np.random.default_rng(0)
    maps, level = random.random((3, 64, 64), dtype=np.float32), random.random((64, 64), dtype=np.float32)
    found = following(maps, level, np.array([1.0, -1.0, 0.0], np.float32))
    correlations = [np.corrcoef(one.ravel(), level.ravel())[0, 1] for one in found]
    np.testing.assert_allclose(correlations, [1, -1, np.corrcoef(maps[2].ravel(), level.ravel())[0, 1]], atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), maps.mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(found.std(axis=(1, 2)), maps.std(axis=(1, 2)), rtol=1e-3)


def test_a_kind_without_real_pairs_is_one_line(plgn):
    with pytest.raises(UserError, match="no real pair of 'mri-ct' to draw dominance maps from"):
        draw_map(plgn.prior, PHOTO, "mif", "mri-ct", "segments", rng_of(1))


def test_both_sources_show_different_things(plgn):
    maker = Synthesizer(plgn, "vif", modality=False)
    pairs = [maker.pair(PHOTO, index) for index in range(6)]
    assert np.mean([likeness(pair.a, pair.b) for pair in pairs]) < 0.6
    assert {pair.facts["dominance_pair"] for pair in pairs} <= set(plgn.prior.pairs)
    assert all(pair.facts["focus_mix"] is False for pair in pairs)
    np.testing.assert_array_equal(pairs[3].a, Synthesizer(plgn, "vif", modality=False).pair(PHOTO, 3).a)


def test_grey_levels_are_those_of_the_real_pair(plgn):
    pair = Synthesizer(plgn, "vif").pair(PHOTO, 2)
    chosen = plgn.prior.pairs.index(pair.facts["dominance_pair"])
    quantiles = plgn.prior.styles[chosen, 0, :17].numpy()
    np.testing.assert_allclose(np.quantile(pair.a, np.linspace(0, 1, 17))[2:15], quantiles[2:15], atol=0.03)


def test_both_sources_of_a_focus_pair_stay_photographs(plgn):
    prior, names = plgn.prior, tuple(channel.name for channel in task_channels("mfif"))
    other = DominancePrior(prior.pairs, ["mfif"] * 4, 7)
    other.load_state_dict(prior.state_dict())
    pair = Synthesizer(Plgn(plgn.sigformer, names, condition="dominance", prior=other), "mfif").pair(PHOTO, 1)
    assert pair.facts["modality"] is False and pair.facts["focus_mix"] is False
    sharp = [np.abs(np.diff(luma(image), axis=1))[:, 4:-4] for image in (pair.a, pair.b, PHOTO)]
    left, right = slice(0, 36), slice(52, 88)
    ratios = [one[:, where].mean() / sharp[2][:, where].mean() for one in sharp[:2] for where in (left, right)]
    # Either source is sharp where the other is not.
    assert (ratios[0] > 1.2 * ratios[1] and ratios[3] > 1.2 * ratios[2]) or (
        ratios[1] > 1.2 * ratios[0] and ratios[2] > 1.2 * ratios[3]
    )


@pytest.mark.parametrize("workers", [2])
def test_shards_have_the_same_bytes_whatever_the_workers(recipe, photos, tmp_path, workers):
    make_shards(plan(photos, 2), recipe=recipe, folder=tmp_path / "one", key={"k": 1}, workers=workers)
    make_shards(plan(photos, 3), recipe=recipe, folder=tmp_path / "other", key={"k": 1})
    one, other = ShardPairs(tmp_path / "one"), ShardPairs(tmp_path / "other")
    assert [one.row(n)["a_sha256"] for n in range(6)] == [other.row(n)["a_sha256"] for n in range(6)]
    assert [one.row(n)["b_sha256"] for n in range(6)] == [other.row(n)["b_sha256"] for n in range(6)]


def test_pairs_that_are_too_alike_are_refused_with_their_reason(recipe, photos, tmp_path):
    strict = dataclasses.replace(recipe, gates=Gates(alike=1e-6), maps="transplant")
    make_shards(plan(photos, 6), recipe=strict, folder=tmp_path, key={"k": 1})
    rows = [row for shard in shards_in(tmp_path) for row in read_rows(shard)]
    refused = [row["reason"] for row in rows if row["status"] == "failed"]
    assert refused and all(reason.startswith("alike: a and b have a likeness of ") for reason in refused)


def test_likeness_is_judged_by_a_quantile_of_real_pairs():
    random = np.random.default_rng(0)
    a, b = random.random((2, 32, 32))
    real = [0.1, 0.2, 0.3, 0.4]
    assert refuse_alike(a, b, real, Gates(alike=0.5)) is None
    told = refuse_alike(a, a, real, Gates(alike=0.5))
    assert told == "alike: a and b have a likeness of 1.000; 50% of real pairs have less than 0.250"
    assert refuse_alike(a, a, real, Gates(alike=None)) is None and refuse_alike(a, a, (), Gates()) is None


def test_maps_for_a_model_without_condition_are_one_line(plgn):
    plain = Plgn(SigFormer(CONFIG), ("ir", "vis"))
    with pytest.raises(UserError, match="no condition and takes no maps of 'segments'"):
        Synthesizer(plain, "vif", maps="segments")
    with pytest.raises(UserError, match="a condition but no prior to draw maps from"):
        Synthesizer(Plgn(SigFormer(CONFIG), ("ir", "vis"), condition="dominance"), "vif")
    assert Synthesizer(plain, "vif").likenesses("vif") == ()


def test_the_kept_map_is_seen_from_the_side_of_a_modality(plgn):
    ir, vis = (kept_map(plgn.prior, name, (17, 17)) for name in ("ir", "vis"))
    assert ir.shape == (1, 7, 17, 17)
    torch.testing.assert_close(vis[:, :-1], 1 - ir[:, :-1])
