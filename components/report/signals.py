"""One-dimensional signals of a modality: photographs before and after modulation, beside real images (Fig. 6).

Wang et al., "SigFusion", AAAI 2026, Fig. 6 shows single examples. Curves of different scenes cannot be compared sample
by sample, so the strength of every subband over several images is measured as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from components.models.plgn import Plgn
from components.models.sigformer import Subbands
from components.signal.scan import flatten
from components.training.validate import centre

KINDS = ("photograph", "modulated", "real")
CHANNEL = 0
WINDOW = 256


@dataclass(frozen=True)
class Curves:
    """One channel of one subband, as (photograph, modulated, real) signals; ``start`` is the first sample shown."""

    subband: str
    start: int
    length: int
    signals: tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ModalitySignals:
    """What modulation does to the luma of photographs for one modality.

    Attributes:
        images: luma (H, W) in [0, 1] of the example: photograph, modulated, real.
        curves: the low subband and the first high one of the example.
        subbands: names of all Z subbands.
        strength: (3, n, Z) root mean square per kind, image and subband (the low one about its channels' means).
    """

    modality: str
    images: tuple[np.ndarray, np.ndarray, np.ndarray]
    curves: tuple[Curves, Curves]
    subbands: tuple[str, ...]
    strength: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """(2, Z): decibels between the mean strength of real images and that of photographs, and of modulated ones."""
        level = 20 * np.log10(np.maximum(self.strength, 1e-8)).mean(axis=1)
        return np.abs(level[:2] - level[2])


@torch.inference_mode()
def measure(
    plgn: Plgn, modality: str, photos: Sequence[np.ndarray], reals: Sequence[np.ndarray]
) -> ModalitySignals:
    """Decompose photographs, their modulated versions and real images of one modality.

    Args:
        photos, reals: luma planes (H, W) in [0, 1]; real image k is analysed with the wavelet bank of photograph k, so
            that its bands span the same frequencies. The first of each is the example.
    """
    triples = [_decompose(plgn, modality, photo, real) for photo, real in zip(photos, reals, strict=False)]
    inputs, parts = triples[0]
    modulated = plgn.sigformer.reconstruct(parts[1]).clamp(0, 1)
    images = tuple(plane[0, 0].cpu().numpy() for plane in (inputs[0], modulated, inputs[1]))
    names = parts[0].names()
    strength = [[[_strength(values) for _, values in kind.items()] for kind in kinds] for _, kinds in triples]
    curves = tuple(_curves(parts, name) for name in names[:2])
    return ModalitySignals(modality, images, curves, names, np.array(strength).swapaxes(0, 1))


def _decompose(
    plgn: Plgn, modality: str, photo: np.ndarray, real: np.ndarray
) -> tuple[tuple[Tensor, Tensor], tuple[Subbands, Subbands, Subbands]]:
    config = plgn.sigformer.config
    natural, target = (centre(plane, config.multiple, config.minimum_side) for plane in (photo, real))
    parts = plgn.sigformer.decompose(natural)
    return (natural, target), (parts, plgn.modulate(parts, modality), plgn.sigformer.decompose(target, parts.boundaries))


def _curves(parts: Sequence[Subbands], name: str) -> Curves:
    signals = [_signal(kind[name]) for kind in parts]
    length = min(map(len, signals))
    start = max(0, (length - WINDOW) // 2)
    return Curves(name, start, length, tuple(signal[start : start + WINDOW] for signal in signals))


def _signal(values: Tensor) -> np.ndarray:
    """One channel as a 1-D signal: high subbands are signals already, the low map is read row by row."""
    signals = flatten(values, "rows") if values.dim() == 4 else values
    return signals[0, CHANNEL].numpy()


def _strength(values: Tensor) -> float:
    # A low map's mean over positions is offset and brightness; high subbands have none.
    power = values.var(dim=(-2, -1), correction=0) if values.dim() == 4 else values.square()
    return float(power.mean().sqrt())
