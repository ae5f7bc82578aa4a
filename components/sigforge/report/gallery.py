"""Pictures of the report: overviews, crops at the place where the sources disagree most, all as data URIs."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from sigforge.core.colour import luma
from sigforge.core.images import encode_webp, read_image, to_uint8
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import modalities
from sigforge.evaluation.score_rows import ScoreRow
from sigforge.metrics import Metric

OVERVIEW = 320
"""Longest side of an overview in pixels; no column of the page is wider."""

QUALITY = 92
CROP_SHARE = 4
CROP_MINIMUM = 24


@dataclass(frozen=True)
class ZoomWindow:
    """A square of ``side`` pixels whose upper left corner is (``top``, ``left``)."""

    top: int
    left: int
    side: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The square of an (H, W) or (H, W, 3) image, smaller where the image ends."""
        return image[self.top : self.top + self.side, self.left : self.left + self.side]


@dataclass(frozen=True)
class Picture:
    """One image of the page.

    Attributes:
        label: what it is, e.g. the method's name.
        uri, width, height: the overview and its size in pixels.
        crop: exact pixels of the crop as a data URI; empty if there is none.
        frame: CSS of the crop's rectangle in the overview, in percent of its size.
        score: (symbol of a metric, value) shown under the label, or empty.
        source: whether it is an input rather than a result.
    """

    label: str
    uri: str
    width: int
    height: int
    crop: str = ""
    frame: str = ""
    score: tuple[str, str] | tuple[()] = ()
    source: bool = False


@dataclass(frozen=True)
class GalleryScene:
    """The pictures of one pair or photograph, with a title and what is measured of them."""

    title: str
    pictures: tuple[Picture, ...]
    caption: str = ""


def pair_scene(pair: Pair, fused: Mapping[str, Path], scores: Mapping[str, tuple[str, str]]) -> GalleryScene:
    """Both sources of a test pair and what every method made of them, with one crop at the same place in all.

    Args:
        pair: whose files are read.
        fused: method to image file, in the order of the page.
        scores: method to (symbol, value) under its picture; see :func:`scores_of`.
    """
    sources = [read_image(path)[0] for path in (pair.a_path, pair.b_path)]
    crop = disagreement(*sources)
    names = modalities(pair.task, pair.subtask)
    pictures = [picture(image, name, crop=crop, source=True) for name, image in zip(names, sources, strict=True)]
    pictures += [
        picture(read_image(path)[0], method, crop=crop, score=scores.get(method, ())) for method, path in fused.items()
    ]
    return GalleryScene(f"{pair.pair_id} ({pair.width} × {pair.height})", tuple(pictures))


def picture(
    image: np.ndarray,
    label: str,
    *,
    crop: ZoomWindow | None = None,
    score: tuple[str, str] | tuple[()] = (),
    source: bool = False,
) -> Picture:
    """An image as the page shows it: an overview, and a detail at full resolution.

    Args:
        image: (H, W) or (H, W, 3) in [0, 1].
        label: what stands below it.
        crop: which part the detail shows; None for no detail.
        score: symbol and value of a metric, shown with the label.
        source: mark it as one of the two sources.
    """
    height, width = image.shape[:2]
    scale = min(1.0, OVERVIEW / max(height, width))
    size = (round(width * scale), round(height * scale))
    small = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    detail = data_uri(encode_webp(np.ascontiguousarray(crop.cut(image)))) if crop else ""
    frame = _frame(crop, height, width) if crop else ""
    return Picture(label, data_uri(_lossy(small)), *size, detail, frame, score, source)


def disagreement(a: np.ndarray, b: np.ndarray) -> ZoomWindow:
    """Where the local gradient energies of two images differ most, as a square of a quarter of the shorter side.

    Energy is the squared Sobel gradient of luma, summed over the square; the first maximum in reading order counts.

    Example:
        >>> flat, edge = np.zeros((96, 96), np.float32), np.zeros((96, 96), np.float32)
        >>> edge[60:70, 40:50] = 1
        >>> crop = disagreement(flat, edge)
        >>> crop.side, crop.top <= 60 <= crop.top + crop.side, crop.left <= 40 <= crop.left + crop.side
        (24, True, True)
    """
    height, width = a.shape[:2]
    side = min(max(CROP_MINIMUM, min(height, width) // CROP_SHARE), height, width)
    difference = np.abs(_window_sums(_energy(a), side) - _window_sums(_energy(b), side))
    top, left = np.unravel_index(np.argmax(difference), difference.shape)
    return ZoomWindow(int(top), int(left), side)


def data_uri(data: bytes, kind: str = "image/webp") -> str:
    """Bytes of a file as a ``data:`` address.

    Example:
        >>> data_uri(b"abc", "text/plain")
        'data:text/plain;base64,YWJj'
    """
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def scores_of(pair_id: str, values: Sequence[ScoreRow], metric: Metric) -> dict[str, tuple[str, str]]:
    """What one metric says of one pair.

    Args:
        pair_id: which pair.
        values: rows of ``metrics.parquet``.
        metric: which metric.

    Returns:
        symbol and value with three digits, by method.
    """
    return {
        row.method: (metric.symbol, f"{row.value:.3f}")
        for row in values
        if (row.pair_id, row.metric) == (pair_id, metric.name)
    }


def _energy(image: np.ndarray) -> np.ndarray:
    plane = np.ascontiguousarray(luma(image), dtype=np.float64)
    return cv2.Sobel(plane, cv2.CV_64F, 1, 0) ** 2 + cv2.Sobel(plane, cv2.CV_64F, 0, 1) ** 2


def _window_sums(values: np.ndarray, side: int) -> np.ndarray:
    """Sums over all side x side windows that lie inside, by an integral image."""
    sums = cv2.integral(values)
    return sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]


def _frame(crop: ZoomWindow, height: int, width: int) -> str:
    left, top = 100 * crop.left / width, 100 * crop.top / height
    across, down = 100 * crop.side / width, 100 * crop.side / height
    return f"left:{left:.2f}%;top:{top:.2f}%;width:{across:.2f}%;height:{down:.2f}%"


def _lossy(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(to_uint8(image)).save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()
