"""Pairs laid on one another: estimated, refused where uncertain, put on record, cut to what both images show."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pyarrow as pa

from sigforge.core.files import sha256_file
from sigforge.core.images import read_image, write_image
from sigforge.dataset.registration.affine import estimate_affine
from sigforge.dataset.registration.flow import estimate_flow
from sigforge.dataset.registration.shift import estimate_shift
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import modalities

Register = Literal["none", "report", "shift", "affine", "flow"]

CERTAIN = 0.25
"""Of shift and affine. Pairs of foreign scenes stay below 0.2 nine times of ten (docs/data.md)."""
CERTAIN_FLOW = 0.7
ALIGNED = 0.5
"""Pixels: less than this is left as it is, for resampling blurs."""
LEAST_PART = 0.5
"""Of a side, that must be left once cut."""
_INSIDE = 0.999

REGISTRATIONS = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("displacement", pa.float64(), nullable=False),
        pa.field("dx", pa.float64(), nullable=False),
        pa.field("dy", pa.float64(), nullable=False),
        pa.field("certainty", pa.float64(), nullable=False),
        pa.field("applied", pa.bool_(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("matrix", pa.string(), nullable=False),
        pa.field("a_path", pa.string(), nullable=False),
        pa.field("b_path", pa.string(), nullable=False),
    ],
    metadata={"key": "pair_id"},
)


@dataclass(frozen=True)
class PairRegistration:
    """What was found of one pair, and done.

    Attributes:
        pair_id: of the pair.
        model: ``shift``, ``affine`` or ``flow``.
        displacement: the farthest that a corner of the first image moves, pixels; of a flow, the median pixel.
        dx, dy: how far its middle moves, right and down.
        certainty: see the models.
        applied: whether the images were resampled and cut.
        reason: why not: ``reported``, ``aligned``, ``uncertain``, ``too_far``; empty if they were.
        matrix: six numbers, row by row; empty for a flow.
        a_path, b_path: the images before.
    """

    pair_id: str
    model: str
    displacement: float
    dx: float
    dy: float
    certainty: float
    applied: bool
    reason: str
    matrix: str
    a_path: str
    b_path: str


@dataclass(frozen=True)
class _Map:
    """Where each pixel of the second image is found in the first, and what is known of that."""

    x: np.ndarray
    y: np.ndarray
    certainty: float
    matrix: str
    displacement: float


def register_pair(pair: Pair, how: Register, folder: Path) -> tuple[Pair, PairRegistration]:
    """Lay the first image of a pair on the second, which stays: the visible one, the MR image.

    Args:
        pair: checked.
        how: ``report`` only estimates the shift.
        folder: where images go that were resampled and cut.

    Returns:
        The pair, with new files where it was changed, and the record.
    """
    (a, a_info), (b, b_info) = read_image(pair.a_path), read_image(pair.b_path)
    model = "shift" if how == "report" else how
    found = _estimate(b, a, model)
    height, width = b.shape[:2]
    middle = height // 2, width // 2
    dx, dy = middle[1] - float(found.x[middle]), middle[0] - float(found.y[middle])
    enough = CERTAIN_FLOW if model == "flow" else CERTAIN
    box = _common_box(found, a.shape[:2])
    reason = ""
    if how == "report":
        reason = "reported"
    elif found.certainty < enough:
        reason = "uncertain"
    elif found.displacement < ALIGNED:
        reason = "aligned"
    elif box is None:
        reason = "too_far"
    record = PairRegistration(
        pair.pair_id, model, found.displacement, dx, dy, found.certainty, not reason, reason, found.matrix, pair.a_path,
        pair.b_path,
    )  # fmt: skip
    if reason or box is None:
        return pair, record
    moved = cv2.remap(a, found.x, found.y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    rows, columns = box
    depths = (a_info.bit_depth, b_info.bit_depth)
    return _written(pair, (moved[rows, columns], b[rows, columns]), depths, folder), record


def registration_row(record: PairRegistration) -> dict[str, object]:
    """A record as a row of the table."""
    return asdict(record)


def _estimate(still: np.ndarray, moving: np.ndarray, model: str) -> _Map:
    y, x = np.mgrid[: still.shape[0], : still.shape[1]].astype(np.float32)
    if model == "flow":
        flow = estimate_flow(still, moving)
        moved = float(np.median(np.linalg.norm(flow.field, axis=2)))
        return _Map(x + flow.field[..., 0], y + flow.field[..., 1], flow.certainty, "", moved)
    if model == "affine":
        warp = estimate_affine(still, moving)
        matrix, certainty, far = warp.matrix, warp.certainty, warp.displacement(*still.shape[:2])
    else:
        shift = estimate_shift(still, moving)
        matrix, certainty, far = np.array([[1, 0, -shift.dx], [0, 1, -shift.dy]]), shift.certainty, shift.length
    m = matrix.astype(np.float32)
    text = " ".join(f"{value:.6g}" for value in matrix.ravel())
    return _Map(m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2], certainty, text, far)


def _common_box(found: _Map, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """The rows and columns where every pixel is known; None if less than half of a side is left."""
    height, width = shape
    inside = (found.x >= 0) & (found.x <= width - 1) & (found.y >= 0) & (found.y <= height - 1)
    top, bottom, left, right = 0, inside.shape[0], 0, inside.shape[1]
    while bottom - top > LEAST_PART * height and right - left > LEAST_PART * width:
        part = inside[top:bottom, left:right]
        sides = (part[0].mean(), part[-1].mean(), part[:, 0].mean(), part[:, -1].mean())
        worst = int(np.argmin(sides))
        if sides[worst] > _INSIDE:
            return slice(top, bottom), slice(left, right)
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return None


def _written(pair: Pair, images: tuple[np.ndarray, np.ndarray], depths: tuple[int, int], folder: Path) -> Pair:
    names = modalities(pair.task, pair.subtask)
    paths = [folder / name / f"{pair.pair_id}.png" for name in names]
    for path, image, depth in zip(paths, images, depths, strict=True):
        write_image(path, np.clip(image, 0, 1), 16 if depth > 8 else 8)
    height, width = images[0].shape[:2]
    a, b = map(str, paths)
    hashes = sha256_file(a), sha256_file(b)
    return replace(pair, height=height, width=width, a_path=a, b_path=b, a_sha256=hashes[0], b_sha256=hashes[1])
