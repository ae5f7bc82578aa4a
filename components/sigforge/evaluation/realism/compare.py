"""How far synthetic images of a modality are from real ones, with the photographs they were made from as "before".

SigFusion shows pictures of its synthetic modalities; here the gap is a number. The smallest distance that can be
expected is not 0 but that of two halves of the real images, and it depends on their count. So every column is measured
alike: half of the real images against as many others, real, photographs or synthetic, in the mean over ten halvings.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import rel_entr
from scipy.stats import wasserstein_distance

from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of
from sigforge.evaluation.realism.image_statistics import SIDE, WIDTHS, ImageStatistics, measure_images
from sigforge.evaluation.realism.two_sample import IntervalEstimate, two_sample_auc, with_interval

COLUMNS = {"real": "real", "before": "photographs", "after": "synthetic"}
"""The sets, and what readers call them."""

LEAST = 6
"""Images of a set: halves of three still have something like a distribution."""

HALVINGS = 10

MEASURES = {
    "auc": ("classifier", "AUC"),
    "level": ("subband power", "dB"),
    "kurtosis": ("subband kurtosis", "ln"),
    "spectrum": ("spectrum", "dB"),
    "slope": ("spectral slope", "exponent"),
    "intensity_w1": ("grey levels W1", "levels"),
    "intensity_js": ("grey levels JS", "bits"),
    "gradient_w1": ("gradients W1", "levels"),
    "gradient_js": ("gradients JS", "bits"),
}
"""Meaning and unit, in the order of tables; ``level.1`` and the like, to 5, are single subbands, lowest first."""


@dataclass(frozen=True)
class RealismRow:
    """One measure: what real images, photographs (None without) and synthetic images are from real ones."""

    measure: str
    real: IntervalEstimate
    before: IntervalEstimate | None
    after: IntervalEstimate

    @property
    def label(self) -> str:
        """What is measured, in words."""
        name, _, subband = self.measure.partition(".")
        return f"{MEASURES[name][0]} {subband}".strip()

    @property
    def unit(self) -> str:
        """Of the values."""
        return MEASURES[self.measure.partition(".")[0]][1]


@dataclass(frozen=True)
class RealismComparison:
    """A comparison.

    Attributes:
        side: of the crops, pixels.
        images: per column, how many images there are.
        rows: one per measure; see :func:`compare`.
        spectra: per column, (3, R) quartiles over crops of the radial power spectrum at k / side cycles per pixel,
            k = 1..R, dB.
        slopes: per column, the mean exponent of the spectra.
    """

    side: int
    images: dict[str, int]
    rows: tuple[RealismRow, ...]
    spectra: dict[str, np.ndarray]
    slopes: dict[str, float]

    @property
    def summary(self) -> list[RealismRow]:
        """The rows that are not of single subbands."""
        return [row for row in self.rows if row.measure in MEASURES]

    def row(self, measure: str) -> RealismRow:
        """The row of one measure."""
        return next(row for row in self.rows if row.measure == measure)


def measure_realism(
    real: Iterable[np.ndarray],
    before: Iterable[np.ndarray] | None,
    after: Iterable[np.ndarray],
    *,
    side: int = SIDE,
    seed: int = 0,
) -> RealismComparison:
    """Measure three sets of images and compare them.

    Args:
        real: at least 6 images of the modality, (H, W) or (H, W, 3) in [0, 1], on which nothing was trained.
        before: as many photographs, or None.
        after: as many synthetic images.
        side: of the crops that are measured, pixels; no image may be smaller.
        seed: of halves and folds.

    Raises:
        UserError: too few images, or one that is smaller than a crop.

    Example:
        >>> noise = np.random.default_rng(0).random((18, 64, 64))
        >>> found = measure_realism(noise[:6], noise[6:12], noise[12:] / 2, side=64)
        >>> level = found.row("level")
        >>> round(level.after.value), level.real.value < 0.5
        (6, True)
    """
    found = measure_images(real, side=side, name="real")
    photographs = None if before is None else measure_images(before, side=side, name="before")
    return compare(found, photographs, measure_images(after, side=side, name="after"), seed=seed)


def compare(
    real: ImageStatistics, before: ImageStatistics | None, after: ImageStatistics, *, seed: int = 0
) -> RealismComparison:
    """Compare what was measured of three sets with crops of one size.

    Rows of the result:

    - ``auc`` of a classifier on crops, see :func:`~sigforge.evaluation.realism.two_sample.two_sample_auc`. All images
      are used; the real ones are told from one another by halves.
    - 1-Wasserstein distances of the distributions over crops of ``level`` and ``kurtosis``, in the mean over subbands
      and in each, and of ``slope``.
    - ``spectrum``, the log-spectral distance: root mean square over rings of the difference of mean spectra, in dB.
    - 1-Wasserstein distance (``_w1``) and Jensen-Shannon divergence (``_js``) of the histograms of ``intensity`` and
      ``gradient``.

    Args:
        real: the images that the synthetic ones are to resemble.
        before: the photographs that the synthetic ones were made of, or None.
        after: the synthetic images.
        seed: of halves and folds.

    Raises:
        UserError: fewer than 6 images in a set.
        ValueError: crops of different sizes.
    """
    sets = {name: one for name, one in zip(COLUMNS, (real, before, after), strict=True) if one is not None}
    for name, one in sets.items():
        if one.images < LEAST:
            raise UserError(f"{name}: {one.images} images are too few to be compared: give at least {LEAST}")
    if len({one.spectrum.shape[1] for one in sets.values()}) > 1:
        raise ValueError("crops of different sizes")
    found = {name: _distances(real, one, seed) | {"auc": _auc(real, one, seed)} for name, one in sets.items()}
    return RealismComparison(
        side=2 * real.spectrum.shape[1],
        images={name: one.images for name, one in sets.items()},
        rows=tuple(_rows(found)),
        spectra={name: np.quantile(one.spectrum, (0.25, 0.5, 0.75), axis=0) for name, one in sets.items()},
        slopes={name: float(one.weights @ one.slope) for name, one in sets.items()},
    )


def distances(one: ImageStatistics, other: ImageStatistics) -> dict[str, float]:
    """All measures but the classifier's, from one set to another; see :func:`compare`."""

    def transport(values: np.ndarray, others: np.ndarray) -> float:
        return float(wasserstein_distance(values, others, one.weights, other.weights))

    directions = [[transport(one.level[:, d, z], other.level[:, d, z]) for d in (0, 1)] for z in range(len(WIDTHS))]
    level = np.mean(directions, axis=1)
    kurtosis = np.array([transport(one.kurtosis[:, z], other.kurtosis[:, z]) for z in range(len(WIDTHS))])
    found = {
        "level": level.mean(),
        "kurtosis": kurtosis.mean(),
        "spectrum": np.sqrt(np.square(one.weights @ one.spectrum - other.weights @ other.spectrum).mean()),
        "slope": transport(one.slope, other.slope),
    }
    for name in ("intensity", "gradient"):
        p, q = one.weights @ getattr(one, name), other.weights @ getattr(other, name)
        found[f"{name}_w1"] = np.abs(np.cumsum(p - q)).sum()
        found[f"{name}_js"] = (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)).sum() / np.log(4)
    for name, values in (("level", level), ("kurtosis", kurtosis)):
        found |= {f"{name}.{z}": value for z, value in enumerate(values, 1)}
    return {name: float(value) for name, value in found.items()}


def _halves(
    real: ImageStatistics, other: ImageStatistics, seed: int, halving: int
) -> tuple[ImageStatistics, ImageStatistics]:
    """A random half of the real images, and the rest of them or as many of the others."""
    order = rng_of(seed, "realism", "half", halving).permutation(real.images)
    reference, rest = np.split(order, [real.images // 2])
    if other is not real:
        rest = rng_of(seed, "realism", "draw", halving).permutation(other.images)[: len(rest)]
    return real.take(reference), other.take(rest)


def _distances(real: ImageStatistics, other: ImageStatistics, seed: int) -> dict[str, IntervalEstimate]:
    found = [distances(*_halves(real, other, seed, halving)) for halving in range(HALVINGS)]
    return {name: IntervalEstimate(float(np.mean([one[name] for one in found]))) for name in found[0]}


def _auc(real: ImageStatistics, other: ImageStatistics, seed: int) -> IntervalEstimate:
    if other is not real:
        return _told_apart(real, other, seed)
    pairs = [_halves(real, real, seed, halving) for halving in range(HALVINGS)]
    values = [_told_apart(*pair, seed).value for pair in pairs]
    return with_interval(float(np.mean(values)), real.images // 2)


def _told_apart(one: ImageStatistics, other: ImageStatistics, seed: int) -> IntervalEstimate:
    return two_sample_auc(one.features, other.features, owners=one.owner, second_owners=other.owner, seed=seed)


def _rows(found: dict[str, dict[str, IntervalEstimate]]) -> Iterator[RealismRow]:
    single = [name for name in found["real"] if "." in name]
    for name in (*MEASURES, *single):
        before = found["before"][name] if "before" in found else None
        yield RealismRow(name, found["real"][name], before, found["after"][name])
