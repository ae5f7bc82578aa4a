"""What the four simulators share: the pair they make, crops of base photographs, linear light, smooth noise.

Photographs are taken for sRGB (IEC 61966-2-1) and all optics is computed in linear light. Lengths in pixels are given
for a picture 128 pixels wide and scale with it, so a pair looks alike at every size.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import slic

from sigforge.dataset.sources import demo

Image = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]
NOTE = "simulated, not measured: "


@dataclass(frozen=True)
class ScenePair:
    """One registered, SIMULATED pair; arrays are uint8, (H, W) where the modality is grey, else (H, W, 3) RGB.

    ``reference`` is what an ideal fusion would show (all in focus, all well exposed), where the task has such a thing.
    ``note`` says in words how the pair was made; ``licence`` is that of the base photograph.
    """

    pair_id: str
    task: str
    subtask: str
    a: Pixels
    b: Pixels
    a_modality: str
    b_modality: str
    base: str
    reference: Pixels | None
    licence: str
    note: str


@dataclass(frozen=True)
class SimulatedScene:
    """What a simulator returns: the two pictures, the reference or None, and how they were made."""

    a: Pixels
    b: Pixels
    reference: Pixels | None
    note: str


@dataclass(frozen=True)
class Window:
    """A square crop of a base photograph, resized to ``size`` and perhaps mirrored."""

    top: int
    left: int
    side: int
    mirrored: bool
    size: int

    def cut(self, image: NDArray) -> NDArray:
        """The window's part of an image or map of the base photograph, (size, size[, C]), same type."""
        part = image[self.top : self.top + self.side, self.left : self.left + self.side]
        part = cv2.resize(part, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(part[:, ::-1]) if self.mirrored else part


def window(base: str, size: int, lap: int, rng: np.random.Generator) -> Window:
    """The ``lap``-th crop of a base photograph: never enlarged, spread evenly over it.

    Places follow the two-dimensional golden-ratio sequence (Roberts' R2), so a few laps already cover the photograph.

    Args:
        base: name of the photograph, see :func:`sigforge.dataset.sources.demo.base_image`.
        size: side of what is cut, pixels; the window in the photograph has at least this side.
        lap: counted from 0.
        rng: chooses side and mirroring; the place follows from ``lap`` alone.
    """
    height, width = demo.base_image(base).shape[:2]
    largest = min(height, width)
    side = round(size + (largest - size) * rng.uniform(0.15, 1.0))
    top, left = (
        ((lap + 0.5) * step) % 1.0 * (length - side) for step, length in ((0.7548776662, height), (0.5698402910, width))
    )
    return Window(round(top), round(left), side, bool(rng.integers(2)), size)


def linear_light(codes: NDArray) -> Image:
    """Inverse sRGB transfer curve: codes in [0, 255], whole or not, to float32 linear light in [0, 1], any shape."""
    shown = np.asarray(codes, dtype=np.float32) / 255.0
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def display(linear: NDArray) -> NDArray:
    """SRGB transfer curve: linear light, clipped to [0, 1], to display values in [0, 1]."""
    clipped = np.clip(linear, 0.0, 1.0)
    return np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)


def encode(linear: NDArray) -> Pixels:
    """8-bit sRGB codes of linear light.

    Example:
        >>> encode(linear_light(np.arange(256, dtype=np.uint8))).tolist() == list(range(256))
        True
    """
    return to_bytes(display(linear))


def to_bytes(values: NDArray) -> Pixels:
    """Round [0, 1] to uint8 codes, clipping what lies outside."""
    return np.clip(np.rint(values * 255.0), 0, 255).astype(np.uint8)


def luminance(linear: Image) -> Image:
    """Relative luminance (H, W) of linear RGB (H, W, 3), ITU-R BT.709 primaries."""
    return linear @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> Image:
    """Random field, mean 0 and deviation 1, whose features are about ``size / cells`` pixels wide.

    The draws do not depend on ``size``: the same seed gives the same field, finer or coarser.

    Args:
        rng: what draws the field's control points.
        size: side of the field, pixels.
        cells: control points along a side, less one.

    Returns:
        (size, size), float32.

    Example:
        >>> field = smooth_noise(np.random.default_rng(0), 64, 4)
        >>> field.shape, round(float(field.mean()), 3) + 0.0, round(float(field.std()), 3)
        ((64, 64), 0.0, 1.0)
    """
    grid = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
    field = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / field.std()


def gaussian_blur(image: Image, sigma: float) -> Image:
    """Gaussian blur, ``sigma`` in pixels, mirrored at the border."""
    return cast(Image, cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))


def guided(image: Image, guide: Image, radius: int, eps: float) -> Image:
    """Guided filter (He, Sun & Tang, IEEE TPAMI 2013, Eqs. 5-8): ``image`` smoothed, its edges moved to the guide's.

    Args:
        image: (H, W).
        guide: (H, W) in [0, 1].
        radius: half the side of the window in pixels.
        eps: variance of the guide below which it counts as flat.
    """

    def mean(values: Image) -> Image:
        side = 2 * radius + 1
        return cast(Image, cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT_101))

    centre, level = mean(guide), mean(image)
    slope = (mean(guide * image) - centre * level) / (mean(guide * guide) - centre * centre + eps)
    return mean(slope) * guide + mean(level - slope * centre)


def superpixels(photo: Pixels, count: int) -> NDArray[np.intp]:
    """About ``count`` compact regions that follow the edges of the photograph, labelled 0, 1, ... (H, W).

    SLIC (Achanta et al., IEEE TPAMI 2012) on at most 96 pixels a side, which is plenty for regions and keeps it quick.
    """
    height, width = photo.shape[:2]
    small = cv2.resize(photo, (min(width, 96), min(height, 96)), interpolation=cv2.INTER_AREA)
    labels = slic(small, n_segments=count, compactness=8.0, sigma=1.0, start_label=0, max_num_iter=5)
    return cv2.resize(labels.astype(np.int32), (width, height), interpolation=cv2.INTER_NEAREST).astype(np.intp)


def region_means(values: NDArray, labels: NDArray[np.intp]) -> NDArray:
    """Mean of ``values`` (H, W) over each label, shape (labels,)."""
    return np.bincount(labels.ravel(), values.ravel()) / np.maximum(np.bincount(labels.ravel()), 1)


@lru_cache(maxsize=1)
def motorcycle_disparity() -> Image:
    """Disparity (500, 741) in pixels of the Middlebury motorcycle; where it is unknown, the nearest known one."""
    disparity = skimage.data.stereo_motorcycle()[2]
    nearest = ndimage.distance_transform_edt(~np.isfinite(disparity), return_distances=False, return_indices=True)
    filled = disparity[tuple(nearest)].astype(np.float32)
    filled.setflags(write=False)
    return filled
