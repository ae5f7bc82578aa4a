"""Measuring image files: what one worker does with a pair and all that methods made of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from sigforge.core.colour import luma
from sigforge.core.errors import ImageError
from sigforge.core.images import decode_bytes, is_grey, read_bytes, require_same_size
from sigforge.dataset.doubts import has_few_levels
from sigforge.dataset.tables import Quarantined
from sigforge.evaluation.references import reference_images
from sigforge.metrics import Metric, score

LUMA = "Y = 0.299 R + 0.587 G + 0.114 B"
"""What :func:`sigforge.core.colour.luma` computes."""

SOURCES = "sources"
"""Whose files they are, in counts of what was read; else the method's name."""


@dataclass(frozen=True)
class ScoringUnit:
    """One pair, by its number, and what the methods made of it; ``reference`` is empty where there is none.

    With ``copies``, the sources themselves and a collage of them are scored, too.
    """

    pair: int
    a: str
    b: str
    reference: str
    fused: dict[str, str]
    copies: bool = False


@dataclass(frozen=True)
class UnitScores:
    """What became of a unit: scores by method, what could not be used, and counts of (kind, whose) files read."""

    pair: int
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)
    left_out: list[Quarantined] = field(default_factory=list)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)


def score_units(units: Sequence[ScoringUnit], *, metrics: Sequence[Metric]) -> list[UnitScores]:
    """Score several pairs, one image after the other."""
    return [score_unit(unit, metrics=metrics) for unit in units]


def score_unit(unit: ScoringUnit, *, metrics: Sequence[Metric]) -> UnitScores:
    """Score every fused image of a pair on luma of the 8-bit images.

    A fused image that cannot be used is left out; a source or reference that cannot takes the pair with it.
    """
    result = UnitScores(unit.pair)
    try:
        sources = [_read(path, SOURCES, result.seen) for path in (unit.a, unit.b, unit.reference) if path]
        for path, image in zip((unit.b, unit.reference), sources[1:], strict=False):
            require_same_size((unit.a, sources[0]), (path, image))
    except ImageError as error:
        return UnitScores(unit.pair, {}, [_quarantined(error)], result.seen)
    a, b, *reference = map(_batch, sources)

    def measure(method: str, fused: np.ndarray) -> None:
        values = score(_batch(fused), a, b, metrics=metrics, reference=reference[0] if reference else None)
        result.values[method] = tuple(float(values[metric.name]) for metric in metrics)

    for method, path in unit.fused.items():
        try:
            fused = _read(path, method, result.seen)
            require_same_size((unit.a, sources[0]), (path, fused))
        except ImageError as error:
            result.left_out.append(_quarantined(error))
            continue
        measure(method, fused)
    if unit.copies:
        for method, image in reference_images(*sources[:2]).items():
            measure(method, image)
    return result


def _read(path: str, whose: str, seen: Counter) -> np.ndarray:
    """Luma of a file, which is counted by what is worth telling about it."""
    data = read_bytes(path)
    pixels, info = decode_bytes(data, path)
    kinds = {"file": True, "colour": not is_grey(pixels), "deep": info.bit_depth == 16, "lossy": is_lossy(data)}
    kinds["raw"] = has_few_levels(info)
    seen.update((kind, whose) for kind, holds in kinds.items() if holds)
    return luma(pixels)


def is_lossy(data: bytes) -> bool:
    """Whether an image file is a JPEG or a plain lossy WebP, by its first bytes, whatever its name.

    Example:
        >>> is_lossy(bytes.fromhex("ffd8ffe0")), is_lossy(b"RIFF....WEBPVP8L")
        (True, False)
    """
    return data.startswith(b"\xff\xd8\xff") or (data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8 ")


def _batch(plane: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(plane, dtype=np.float32))[None, None]


def _quarantined(error: ImageError) -> Quarantined:
    return Quarantined(error.path, "score", error.reason, error.detail)
