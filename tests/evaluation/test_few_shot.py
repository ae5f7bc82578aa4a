import dataclasses

import numpy as np
import pytest

from sigforge.core.errors import UserError
from sigforge.evaluation.few_shot import (
    ARMS,
    MEASURED,
    FewShotGain,
    FewShotPlan,
    FewShotValue,
    TwoPhases,
    both_of_arms,
    few_shot,
    few_shot_gains,
)

PLAN = FewShotPlan(counts=(2,), steps=6, seeds=1, batch=2, crop=32)


def pairs(count, seed=0):
    random = np.random.default_rng(seed)
    left = np.arange(48) < 24
    textures = random.integers(0, 256, (count, 2, 48, 48), dtype=np.uint8)
    return [np.stack([np.where(left, a, 60), np.where(left, 180, b)]).astype(np.uint8) for a, b in textures]


class Numbered:
    def __init__(self, name):
        self.name = name

    def __getitem__(self, step):
        return f"{self.name} {step}"


def test_both_arms_end_with_the_same_real_crops():
    synthetic, real = Numbered("synthetic"), Numbered("real")
    one, other = TwoPhases(None, real, 3), TwoPhases(synthetic, real, 3)
    assert [other[step] for step in (0, 2, 3, 5)] == ["synthetic 0", "synthetic 2", "real 3", "real 5"]
    assert [one[step] for step in (3, 5)] == [other[step] for step in (3, 5)] and one[0] == "real 0"


def test_every_arm_is_scored_on_every_test_pair():
    values = list(few_shot("vif", pairs(3), pairs(3, 1), pairs(2, 2), PLAN))
    assert len(values) == len(ARMS) * 2 * len(MEASURED)
    again = list(few_shot("vif", pairs(3), pairs(3, 1), pairs(2, 2), PLAN))
    assert values == again
    other = list(few_shot("vif", pairs(3, 5), pairs(3, 1), pairs(2, 2), PLAN))
    by_arm = [[value for value in one if value.arm == "none"] for one in (values, other)]
    assert by_arm[0] == by_arm[1] and values != other
    gains = few_shot_gains(values)
    assert {gain.metric for gain in gains} == set(MEASURED)
    assert set(both_of_arms(gains, 2)) == set(ARMS)


def value(arm, pair, number, metric="vif_min", seed=0):
    return FewShotValue(5, arm, seed, pair, metric, number)


def test_a_gain_is_paired_and_seeds_are_averaged():
    random = np.random.default_rng(0)
    base = random.random(12)
    values = [value("none", pair, level, seed=seed) for pair, level in enumerate(base) for seed in (0, 1)]
    values += [value("synthetic", pair, level + 0.1, seed=0) for pair, level in enumerate(base)]
    values += [value("synthetic", pair, level + 0.3, seed=1) for pair, level in enumerate(base)]
    (gain,) = few_shot_gains(values)
    assert gain.synthetic - gain.none == pytest.approx(0.2) and gain.low == pytest.approx(0.2)
    assert gain.verdict == "better" and dataclasses.replace(gain, metric="nabf").verdict == "worse"
    assert FewShotGain(5, "vif_min", 0.1, 0.2, -0.1, 0.3).verdict == "same"


def test_undefined_values_are_left_out_in_pairs():
    values = [value("none", 0, 0.2), value("synthetic", 0, np.nan), value("none", 1, 0.4), value("synthetic", 1, 0.5)]
    (gain,) = few_shot_gains(values)
    assert (gain.none, gain.synthetic) == (0.4, 0.5) and np.isnan(gain.low)


def test_too_few_pairs_are_one_line():
    with pytest.raises(UserError, match="few-shot vif: 2 real pairs are asked for, 1 are there: ask less"):
        next(few_shot("vif", pairs(1), pairs(1), pairs(1), PLAN))
    with pytest.raises(UserError, match="few-shot mef: 0 synthetic and 1 test pairs: give some of each"):
        next(few_shot("mef", [], pairs(2), pairs(1), PLAN))
