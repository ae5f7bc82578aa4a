"""How far synthetic pairs are from real ones, as pairs: do both sources say as different things as real ones do?

The ends of the scale are photographs twice (a pair whose sources are one image) and shuffled partners (each source is
real, but they belong to different scenes). The least that can be expected is what two halves of the real pairs differ.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import rel_entr

from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of
from sigforge.evaluation.realism.pair_statistics import PairStatistics
from sigforge.evaluation.realism.two_sample import IntervalEstimate, two_sample_auc, with_interval

PAIR_COLUMNS = {
    "real": "real",
    "synthetic": "synthetic",
    "twice": "photographs twice",
    "shuffled": "shuffled partners",
}
"""The sets, and what readers call them."""

LEAST_PAIRS = 6
HALVINGS = 10

TOLERANCE = 2
"""A mean is as near as real ones are if it is within so many times the distance between two halves of them."""

PairLoader = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Position to both sources of a pair, (H, W) or (H, W, 3) in [0, 1]."""

_MEANS: dict[str, tuple[str, str, Callable[[PairStatistics], np.ndarray]]] = {
    "correlation": ("correlation of both sources", "", lambda one: one.correlation),
    "gradient_correlation": ("correlation of their gradients", "", lambda one: one.gradient_correlation),
    "subband_correlation": ("correlation of their subbands", "", lambda one: one.subband_correlation[:, 1:].mean(1)),
    "strong_share": ("strong gradients that a wins", "share", lambda one: one.strong_share),
    "brighter_share": ("pixels where a is brighter", "share", lambda one: one.brighter_share),
    "subband_share": ("subband energy that a has", "share", lambda one: one.subband_share.mean(1)),
    "decided": ("how decided places are", "", lambda one: one.decided.mean(1)),
    "run_length": ("run of places of one winner", "pixels", lambda one: one.run_length),
    "region": ("region of one winner", "share", lambda one: one.region),
    "information": ("mutual information", "bits", lambda one: one.information),
    "contrast_a": ("contrast of a", "levels", lambda one: one.contrast[:, 0]),
    "contrast_b": ("contrast of b", "levels", lambda one: one.contrast[:, 1]),
}


def _subband_correlation(z: int, one: PairStatistics) -> np.ndarray:
    return one.subband_correlation[:, z]


_MEANS |= {
    f"subband_correlation.{z + 1}": (
        f"correlation of subband {z + 1}",
        "",
        partial(_subband_correlation, z),
    )
    for z in range(5)
}

PAIR_MEASURES = {name: (label, unit) for name, (label, unit, _) in _MEANS.items()} | {
    "auc": ("classifier on pairs", "AUC"),
    "joint_js": ("joint grey levels JS", "bits"),
}
"""Meaning and unit, in the order of tables; the two last are distances from the real pairs, the others means."""


@dataclass(frozen=True)
class PairRow:
    """One measure of all sets.

    Attributes:
        measure: its name, see :data:`PAIR_MEASURES`.
        values: per set, the mean over pairs, or for ``auc`` and ``joint_js`` the distance from real pairs.
        halves: how far the means of two halves of the real pairs are apart; NaN for distances.
    """

    measure: str
    values: Mapping[str, IntervalEstimate]
    halves: float

    @property
    def label(self) -> str:
        """What is measured, in words."""
        return PAIR_MEASURES[self.measure][0]

    @property
    def unit(self) -> str:
        """Of the values."""
        return PAIR_MEASURES[self.measure][1]

    @property
    def gap(self) -> float:
        """From the synthetic mean to the real one."""
        return abs(self.values["synthetic"].value - self.values["real"].value)

    @property
    def near(self) -> bool | None:
        """Whether the gap is within twice the distance between halves; None for distances, which have none."""
        return None if np.isnan(self.halves) else self.gap <= TOLERANCE * self.halves


@dataclass(frozen=True)
class PairComparison:
    """A comparison: how many pairs each set has, and one row per measure."""

    pairs: Mapping[str, int]
    rows: tuple[PairRow, ...]

    def row(self, measure: str) -> PairRow:
        """The row of one measure."""
        return next(row for row in self.rows if row.measure == measure)

    @property
    def summary(self) -> list[PairRow]:
        """The rows that are not of single subbands."""
        return [row for row in self.rows if "." not in row.measure]


def compare_pairs(
    real: PairStatistics,
    synthetic: PairStatistics,
    *,
    twice: PairStatistics | None = None,
    shuffled: PairStatistics | None = None,
    seed: int = 0,
) -> PairComparison:
    """Compare sets of pairs with the real one.

    Args:
        real: at least 6 pairs on which nothing was trained.
        synthetic: at least 6 pairs.
        twice: of photographs as both of their sources.
        shuffled: of real sources with partners of other pairs, see :func:`shuffled_pairs`.
        seed: of halves and folds.

    Returns:
        Means of every set with the 95 % interval of the mean. ``auc`` is that of a classifier on all measures of a
        pair, of a set against the real pairs, and of one half of these against the other in the mean over ten halvings;
        ``joint_js`` likewise is the Jensen-Shannon divergence of the mean joint histograms.

    Raises:
        UserError: fewer than 6 pairs in a set.

    Example:
        >>> from sigforge.evaluation.realism.pair_statistics import measure_pairs
        >>> random = np.random.default_rng(0)
        >>> pairs = [tuple(random.random((2, 64, 64))) for _ in range(12)]
        >>> real, same = measure_pairs(pairs, side=64), measure_pairs([(a, a) for a, _ in pairs], side=64)
        >>> round(compare_pairs(real, same).row("correlation").values["synthetic"].value, 3)
        1.0
    """
    given = {"real": real, "synthetic": synthetic, "twice": twice, "shuffled": shuffled}
    sets = {name: one for name, one in given.items() if one is not None}
    for name, one in sets.items():
        if len(one) < LEAST_PAIRS:
            raise UserError(
                f"{PAIR_COLUMNS[name]}: {len(one)} pairs are too few to be compared: give at least {LEAST_PAIRS}"
            )
    return PairComparison({name: len(one) for name, one in sets.items()}, tuple(_rows(sets, seed)))


def shuffled_pairs(load: PairLoader, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every ``a`` with the ``b`` of the next pair, both cut to the middle that they share."""
    for index in range(count):
        a, b = load(index)[0], load((index + 1) % count)[1]
        height, width = (min(sides) for sides in zip(a.shape[:2], b.shape[:2], strict=True))
        yield _middle(a, height, width), _middle(b, height, width)


def _middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _rows(sets: Mapping[str, PairStatistics], seed: int) -> Iterator[PairRow]:
    real = sets["real"]
    halves = list(_halvings(len(real), seed))
    for name, (_, _, values_of) in _MEANS.items():
        values = values_of(real)
        apart = np.mean([abs(values[one].mean() - values[other].mean()) for one, other in halves])
        yield PairRow(name, {key: _mean(values_of(one)) for key, one in sets.items()}, float(apart))
    for name, distance in (("auc", _auc), ("joint_js", _joint_js)):
        apart_by = {key: distance(real, one, seed) for key, one in sets.items() if one is not real}
        between = [distance(real.take(one), real.take(other), seed).value for one, other in halves]
        least = float(np.mean(between))
        first = with_interval(least, len(real) // 2) if name == "auc" else IntervalEstimate(least)
        yield PairRow(name, {"real": first, **apart_by}, float("nan"))


def _halvings(count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for halving in range(HALVINGS):
        order = rng_of(seed, "pairs", "half", halving).permutation(count)
        yield order[: count // 2], order[count // 2 :]


def _mean(values: np.ndarray) -> IntervalEstimate:
    spread = 1.959964 * values.std(ddof=1) / np.sqrt(len(values))
    return IntervalEstimate(float(values.mean()), float(values.mean() - spread), float(values.mean() + spread))


def _auc(real: PairStatistics, other: PairStatistics, seed: int) -> IntervalEstimate:
    owners = np.arange(len(real)), np.arange(len(other))
    return two_sample_auc(real.features, other.features, owners=owners[0], second_owners=owners[1], seed=seed)


def _joint_js(real: PairStatistics, other: PairStatistics, _seed: int) -> IntervalEstimate:
    p, q = real.joint.mean(axis=0), other.joint.mean(axis=0)
    middle = (p + q) / 2
    return IntervalEstimate(float((rel_entr(p, middle) + rel_entr(q, middle)).sum() / np.log(4)))
