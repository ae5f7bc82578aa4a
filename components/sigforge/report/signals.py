"""One-dimensional signals of a modality: photographs before and after modulation, beside real images (Fig. 6).

Wang et al., "SigFusion", AAAI 2026, Fig. 6 shows single examples. Curves of different scenes cannot be compared sample
by sample, so the strength of every subband over several images is measured as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sigforge.methods.sigfusion.plgn import Plgn
from sigforge.methods.sigfusion.sigformer import Subbands
from sigforge.signal.scan import flatten
from sigforge.synthesis.dominance_maps import kept_map
from sigforge.training.validate import centre

KINDS = ("photograph", "modulated", "target")

CHANNEL = 0
WINDOW = 256
QUANTILES = 200
FLOOR = 1e-3
"""Of the strongest subband: whatever is weaker (60 dB) counts as this, so that empty subbands have a logarithm."""


@dataclass(frozen=True)
class SignalCurves:
    """One channel of one subband, as (photograph, modulated, target) signals; ``start`` is the first sample shown."""

    subband: str
    start: int
    length: int
    signals: tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ModalitySignals:
    """What modulation does to the luma of photographs for one modality.

    Attributes:
        images: luma (H, W) in [0, 1] of the example: photograph, modulated, target.
        curves: the low subband and the first high one of the example.
        subbands: names of all Z subbands.
        strength: (3, n, Z) root mean square per kind, image and subband (the low one about its channels' means), not
            below ``FLOOR`` of the greatest.
        distance: (2, Z) from the distributions of values in photographs, and in modulated ones, to that in targets; see
            :func:`wasserstein`.
    """

    modality: str
    images: tuple[np.ndarray, np.ndarray, np.ndarray]
    curves: tuple[SignalCurves, SignalCurves]
    subbands: tuple[str, ...]
    strength: np.ndarray
    distance: np.ndarray


@torch.inference_mode()
def measure_signals(
    plgn: Plgn, modality: str, photos: Sequence[np.ndarray], reals: Sequence[np.ndarray]
) -> ModalitySignals:
    """Decompose photographs, their modulated versions and real images of one modality.

    Args:
        plgn: with modulators for the modality.
        modality: ``ir``, ``vis``, ``ct``, ...
        photos, reals: luma planes (H, W) in [0, 1]; real image k is analysed with the wavelet bank of photograph k, so
            that its bands span the same frequencies. The first of each is the example.
    """
    samples = [_decompose(plgn, modality, photo, real) for photo, real in zip(photos, reals, strict=False)]
    example = samples[0]
    modulated = plgn.sigformer.reconstruct(example.parts[1]).clamp(0, 1)
    names = example.parts[0].names()
    strength = np.array([[[_strength(part[name]) for name in names] for part in sample.parts] for sample in samples])
    return ModalitySignals(
        modality=modality,
        images=(example.photo[0, 0].numpy(), modulated[0, 0].numpy(), example.real[0, 0].numpy()),
        curves=(_curves(example.parts, names[0]), _curves(example.parts, names[1])),
        subbands=names,
        strength=np.maximum(strength, FLOOR * strength.max()).swapaxes(0, 1),
        distance=np.array([_distances([sample.parts for sample in samples], name) for name in names]).T,
    )


def wasserstein(values: np.ndarray, target: np.ndarray) -> float:
    """Mean over channels of the 1-Wasserstein distance between two sets of values (channels, n) and (channels, m).

    Computed from ``QUANTILES`` quantiles of each, so n and m may differ.

    Example:
        >>> round(wasserstein(np.zeros((1, 50)), np.full((1, 80), 0.25)), 6)
        0.25
    """
    grid = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return float(np.abs(np.quantile(values, grid, axis=1) - np.quantile(target, grid, axis=1)).mean())


@dataclass(frozen=True)
class _Sample:
    """A photograph and a real image, (1, 1, h, w), and the subbands of photograph, modulated photograph, real image."""

    photo: Tensor
    real: Tensor
    parts: tuple[Subbands, Subbands, Subbands]


def _decompose(plgn: Plgn, modality: str, photo: np.ndarray, real: np.ndarray) -> _Sample:
    sigformer = plgn.sigformer
    multiple, least = sigformer.config.multiple, sigformer.config.minimum_side
    before, after = centre(photo, multiple, least), centre(real, multiple, least)
    natural = sigformer.decompose(before)
    target = sigformer.decompose(after, natural.boundaries)
    height, width = natural.low.shape[-2:]
    maps = kept_map(plgn.prior, modality, (height, width)) if plgn.prior else None
    return _Sample(before, after, (natural, plgn.modulate(natural, modality, maps), target))


def _distances(parts: Sequence[tuple[Subbands, ...]], name: str) -> tuple[float, float]:
    """Of one subband, pooled over images: photographs to targets, modulated photographs to targets."""
    photo, modulated, target = (
        torch.cat([kind[name][0].flatten(1) for kind in kinds], dim=1).numpy() for kinds in zip(*parts, strict=True)
    )
    return wasserstein(photo, target), wasserstein(modulated, target)


def _curves(parts: Sequence[Subbands], name: str) -> SignalCurves:
    photo, modulated, target = (_signal(kind[name]) for kind in parts)
    length = min(len(photo), len(modulated), len(target))
    start = max(0, (length - WINDOW) // 2)
    shown = slice(start, start + WINDOW)
    return SignalCurves(name, start, length, (photo[shown], modulated[shown], target[shown]))


def _signal(values: Tensor) -> np.ndarray:
    """One channel as a 1-D signal: high subbands are signals already, the low map is read row by row."""
    signals = flatten(values, "rows") if values.dim() == 4 else values
    return signals[0, CHANNEL].numpy()


def _strength(values: Tensor) -> float:
    # A low map's mean over positions is offset and brightness; high subbands have none.
    power = values.var(dim=(-2, -1), correction=0) if values.dim() == 4 else values.square()
    return float(power.mean().sqrt())
