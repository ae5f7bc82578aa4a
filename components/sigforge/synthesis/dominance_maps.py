"""Dominance maps of real training pairs, kept in a PLGN's file and drawn from it for every photograph.

``transplant`` lays the map of a random real pair over the photograph as it is. ``segments`` gives every segment of the
photograph the mean that the map has there, so that objects and not blobs belong to one source or the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from skimage.segmentation import felzenszwalb
from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.core.subsets import spread
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import MODALITIES
from sigforge.evaluation.realism.likeness import correlation, likeness
from sigforge.methods.sigfusion.dominance import dominance, map_names, swapped
from sigforge.methods.sigfusion.prior import LEVELS, MAP_SIDE, DominancePrior, MapKind
from sigforge.methods.sigfusion.sigformer import SigFormer
from sigforge.synthesis.modality import style_of

MOST = 64
"""Pairs of a kind that a model file keeps."""

LARGEST = 256
"""Side of the square that is measured of a real pair; larger ones are shrunk, as photographs are."""

SHOWN = 0.03
"""Brightness from which a source shows anything."""

SEGMENTED = 128
"""Side at which photographs are divided into segments."""

UNALIGNED = 0.3
"""Part of a map's departures from its surroundings that is kept inside segments, aligned with nothing."""

STRETCH = 2.0
"""Most that the spread of segment means is stretched to make up for averaging."""

SHARPEN, DECIDE = 1.6, 4.0
"""Factors of the shares of high subbands about one half, and of polarity, for a mean over places is undecided."""

FOCUS = 4.0
"""Factor of all shares of ``mfif``, the low subband's too: what is out of focus in a source has no detail there."""

MIDDLE = 0.57
"""Polarity from which details have the same sign. What both sources show alike has the same one anyway, so a little
more than half of the rest is inverted: subbands of real pairs have a correlation of about 0."""

CONTRAST = (0.6, 1.6)
"""Least and largest factor by which brightness follows the photograph's contrast."""

SUPPORTED = ("mif",)
"""Tasks whose images are black outside of what is examined."""


@dataclass(frozen=True)
class DrawnMap:
    """What one sample is made with.

    Attributes:
        maps: (K, H, W) float32 in [0, 1], as source ``a`` sees it.
        support: (H, W) in [0, 1], where anything is shown; None if everywhere.
        styles: (2, 22) of the real sources.
        facts: kind and id of the real pair, which the sample records.
    """

    maps: np.ndarray
    support: np.ndarray | None
    styles: np.ndarray
    facts: dict[str, str]

    def supported(self, ycbcr: np.ndarray) -> np.ndarray:
        """(H, W, 3), black and neutral outside of the support."""
        if self.support is None:
            return ycbcr
        black = np.array([0.0, 0.5, 0.5], np.float32)
        return np.ascontiguousarray(black + self.support[..., None] * (ycbcr - black), dtype=np.float32)


def build_prior(
    sigformer: SigFormer, pairs: Sequence[Pair], luma_of: Callable[[str], np.ndarray], most: int = MOST
) -> DominancePrior:
    """Measure real training pairs.

    Args:
        sigformer: whose subbands are compared.
        pairs: of the split ``train``, and no others.
        luma_of: path to (H, W) in [0, 1].
        most: kept of each kind, evenly spread.

    Raises:
        UserError: a pair of another split, for nothing that is judged by it may go into training data.
    """
    if other := next((pair for pair in pairs if pair.split != "train"), None):
        raise UserError(f"pair '{other.pair_id}' is of the split '{other.split}': draw maps from training pairs only")
    kinds = dict.fromkeys(pair.subtask for pair in pairs)
    kept = [pair for kind in kinds for pair in spread([one for one in pairs if one.subtask == kind], most)]
    names = [pair.pair_id for pair in kept], [pair.subtask for pair in kept]
    prior = DominancePrior(*names, len(map_names(sigformer.config)))
    for index, pair in enumerate(kept):
        a, b = (_square(luma_of(path), sigformer.config.multiple) for path in (pair.a_path, pair.b_path))
        styles = torch.from_numpy(np.stack([style_of(a), style_of(b)]))
        cells, mean = _small_map(sigformer, a, b), (a + b) / 2
        follows, deviation = _follows(cells[:-1], mean), float(mean.std())
        prior.put(index, cells, styles, follows=follows, spread=deviation, alike=likeness(a, b))
    return prior


def draw_map(
    prior: DominancePrior, photo: np.ndarray, task: str, subtask: str, kind: MapKind, rng: np.random.Generator
) -> DrawnMap:
    """A dominance map for a photograph.

    Args:
        prior: what is drawn from.
        photo: (H, W) or (H, W, 3) in [0, 1].
        task: decides how maps may be turned: scenes of ``vif`` have an up and a down.
        subtask: the kind of pair.
        kind: how the map is laid over the photograph.
        rng: of the draw.

    Raises:
        UserError: the prior has no pair of that kind.
    """
    choices = prior.of(subtask)
    if not choices:
        raise UserError(f"PLGN has no real pair of '{subtask}' to draw dominance maps from: train it with some")
    chosen = choices[int(rng.integers(len(choices)))]
    cells = prior.maps[chosen].cpu().numpy().astype(np.float32) / LEVELS
    cells = cells[:, :, ::-1] if rng.integers(2) else cells
    turns = int(rng.integers(4)) if task != "vif" else 0
    *maps, support = _enlarged(np.rot90(cells, turns, axes=(1, 2)), photo.shape[:2])
    laid, grey = np.stack(maps), _grey(photo)
    if kind == "segments":
        segments = segments_of(photo)
        laid, level = over_segments(laid, segments), over_segments(grey[None], segments)[0]
        laid = following(laid, level, prior.follows[chosen].cpu().numpy())
    shares = slice(1, -1) if task == "mfif" else slice(2, -1)
    laid[shares] = 0.5 + (FOCUS if task == "mfif" else SHARPEN) * (laid[shares] - 0.5)
    laid[-1] = 0.5 + DECIDE * (laid[-1] - MIDDLE)
    own = float(np.clip(grey.std() / max(float(prior.spread[chosen]), 1e-3), *CONTRAST))
    laid[0] = laid[0].mean() + own * (laid[0] - laid[0].mean())
    facts = {"dominance": kind, "dominance_pair": prior.pairs[chosen]}
    styles = prior.styles[chosen].cpu().numpy()
    return DrawnMap(laid.clip(0, 1), support if task in SUPPORTED else None, styles, facts)


def kept_map(prior: DominancePrior, modality: str, size: tuple[int, int]) -> Tensor:
    """(1, K, h, w): the map of the first kept pair that has a modality, as that sees it.

    Args:
        prior: what is kept.
        modality: ``ir``, ``vis`` and so on.
        size: of the token grid.
    """
    sides = {name: pair for kinds in MODALITIES.values() for name, pair in kinds.items()}
    chosen = next(index for index, name in enumerate(prior.subtasks) if modality in sides[name])
    maps = torch.from_numpy(np.stack(_enlarged(prior.maps[chosen].cpu().numpy().astype(np.float32) / LEVELS, size)))
    seen = maps[None, :-1].to(prior.maps.device)
    return seen if sides[prior.subtasks[chosen]][0] == modality else swapped(seen)


def segments_of(photo: np.ndarray) -> np.ndarray:
    """(H, W) numbers of the segments of a photograph (Felzenszwalb & Huttenlocher, IJCV 2004)."""
    height, width = photo.shape[:2]
    small = cv2.resize(photo.astype(np.float32), (SEGMENTED, SEGMENTED), interpolation=cv2.INTER_AREA)
    labels = felzenszwalb(small, scale=100, sigma=0.8, min_size=50, channel_axis=-1 if small.ndim == 3 else None)
    return cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST).astype(int)


def over_segments(maps: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Every segment has the mean of each map, with the spread and a part of the fine structure that the map has.

    Args:
        maps: (K, H, W).
        segments: (H, W) numbers from 0.
    """
    count = np.bincount(segments.ravel())
    laid = np.empty_like(maps)
    for index, one in enumerate(maps):
        fine = one - cv2.GaussianBlur(one, (0, 0), one.shape[1] / 16)
        means = np.bincount(segments.ravel(), one.ravel()) / count
        level = cv2.GaussianBlur(means[segments].astype(np.float32), (0, 0), 1.5)
        lost = max(one.var() - UNALIGNED**2 * fine.var(), 1e-6) / max(level.var(), 1e-6)
        stretch = np.clip(np.sqrt(lost), 1, STRETCH)
        laid[index] = level.mean() + stretch * (level - level.mean()) + UNALIGNED * fine
    return laid


def following(maps: np.ndarray, level: np.ndarray, follows: np.ndarray) -> np.ndarray:
    """Every map with its mean and spread, but as far along with the brightness of the photograph as in the real pair.

    Where a sky is bright in one source alone, or a lamp burns out, that is no matter of place but of brightness.

    Args:
        maps: (K, H, W).
        level: (H, W), the photograph's brightness at the scale of the maps.
        follows: (K,) correlations of the real pair.
    """
    own = (level - level.mean()) / max(float(level.std()), 1e-6)
    means, spreads = (getattr(maps, name)(axis=(1, 2), keepdims=True) for name in ("mean", "std"))
    r = follows[:, None, None]
    mixed = r * own + np.sqrt(1 - r**2) * (maps - means) / np.maximum(spreads, 1e-6)
    return (means + spreads * mixed).astype(np.float32)


def _square(plane: np.ndarray, multiple: int) -> np.ndarray:
    """The middle square, shrunk to what is measured."""
    side = min(plane.shape)
    top, left = ((length - side) // 2 for length in plane.shape)
    size = min(side, LARGEST) // multiple * multiple
    square = np.ascontiguousarray(plane[top : top + side, left : left + side], dtype=np.float32)
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def _small_map(sigformer: SigFormer, a: np.ndarray, b: np.ndarray) -> Tensor:
    first, second = torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None]
    maps = dominance(sigformer, first, second)[0].numpy()
    support = (np.maximum(a, b) > SHOWN).astype(np.float32)
    cells = [cv2.resize(one, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA) for one in (*maps, support)]
    return torch.from_numpy(np.stack(cells))


def _enlarged(cells: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    height, width = size
    whole = (np.ascontiguousarray(one) for one in cells)
    return [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1) for one in whole]


def _follows(maps: Tensor, mean: np.ndarray) -> Tensor:
    """(K,): correlation of every entry with the brightness of its cells."""
    small = cv2.resize(mean, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA)
    return torch.tensor([correlation(one.numpy(), small) for one in maps])


def _grey(photo: np.ndarray) -> np.ndarray:
    return (photo.mean(axis=-1) if photo.ndim == 3 else photo).astype(np.float32)
