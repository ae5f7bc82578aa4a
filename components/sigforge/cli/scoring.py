"""Scores of image files: what is matched with what, and what one worker does with a pair."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from sigforge.cli.inputs import FuseJob, match, require_same_size
from sigforge.core.colour import luma
from sigforge.core.errors import ImageError, UserError
from sigforge.core.escape import escape_terminal
from sigforge.core.images import decode_bytes, is_grey, read_bytes
from sigforge.dataset.doubts import has_few_levels
from sigforge.dataset.tables import Quarantined
from sigforge.evaluation.references import REFERENCES, reference_images
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
class ScoringPlan:
    """What is to be scored.

    Attributes:
        pairs: names, sorted; a unit's ``pair`` counts in them.
        methods: names, sorted; then the copies and the collage that are scored beside them.
        bad: sources without partner and files that share a stem.
        missing: images that a method lacks or has too many.
    """

    pairs: tuple[str, ...]
    methods: tuple[str, ...]
    units: tuple[ScoringUnit, ...]
    bad: tuple[Quarantined, ...]
    missing: tuple[Quarantined, ...]


@dataclass(frozen=True)
class UnitScores:
    """What became of a unit: scores by method, what could not be used, and counts of (kind, whose) files read."""

    pair: int
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)
    left_out: list[Quarantined] = field(default_factory=list)
    seen: Counter = field(default_factory=Counter)


def plan_units(
    a: Path, b: Path, fused: Sequence[Path], reference: Path | None = None, *, copies: bool = False
) -> ScoringPlan:
    """Match sources, reference and fused images by stem.

    Args:
        a: first source, a file or a folder.
        b: second source, likewise.
        fused: a file or folder for each method.
        reference: true fused file or folder.
        copies: also score the sources themselves and a collage of them.

    Returns:
        a unit for every pair that can be scored, and what was left out, with reasons.

    Raises:
        UserError: a path is missing, folders have nothing in common, or no pair was fused by every method.
    """
    jobs, bad = match(a, b)
    references, without = _partners(a, jobs, reference) if reference else ({job.name: "" for job in jobs}, [])
    jobs = sorted((job for job in jobs if job.name in references), key=lambda job: job.name)
    bad, missing, made = [*bad, *without], [], {}
    for path, label in zip(fused, _labels(fused), strict=True):
        made[label], without = _partners(a, jobs, path)
        for item in without:
            (missing if item.reason == "no_partner" else bad).append(item)
    if not any(all(job.name in by_name for by_name in made.values()) for job in jobs):
        raise UserError(_none_complete(fused, bad))
    units = []
    for number, job in enumerate(jobs):
        paths = {label: by_name[job.name] for label, by_name in made.items() if job.name in by_name}
        units.append(ScoringUnit(number, job.a, job.b, references[job.name], paths, copies))
    told = {item.path for item in bad}
    missing = [item for item in missing if item.path not in told]
    names, methods = tuple(escape_terminal(job.name) for job in jobs), (*sorted(made), *(REFERENCES if copies else ()))
    return ScoringPlan(names, methods, tuple(units), _once(bad), tuple(missing))


def _none_complete(fused: Sequence[Path], bad: Sequence[Quarantined]) -> str:
    """Why no pair has an image of every method: the first reason that is known, else their names."""
    folders = {path.resolve() for path in fused}
    known = [item for item in bad if Path(item.path).resolve().parent in folders]
    cause = f"{known[0].path}: {known[0].detail}" if known else "name them as their sources"
    return f"{', '.join(map(str, fused))}: no pair has a fused image in each: {cause}"


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


def _partners(a: Path, jobs: Sequence[FuseJob], path: Path) -> tuple[dict[str, str], list[Quarantined]]:
    """The images of a folder by the stems of the sources, or the one file for the one pair."""
    if a.is_dir() and path.is_dir() and os.path.samefile(a, path):  # a copy of the first source is a method, too
        return {job.name: job.a for job in jobs}, []
    found, without = match(a, path)
    return ({job.name: job.b for job in found} if a.is_dir() else {jobs[0].name: str(path)}), without


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


def _once(items: Sequence[Quarantined]) -> tuple[Quarantined, ...]:
    first: dict[str, Quarantined] = {}
    for item in items:
        first.setdefault(item.path, item)
    return tuple(first.values())


def _labels(paths: Sequence[Path]) -> list[str]:
    """A method is called by its folder or file; by the whole path where two or a copy would be called the same.

    Raises:
        UserError: the same path twice.
    """
    if twice := [path for path, count in Counter(path.resolve() for path in paths).items() if count > 1]:
        raise UserError(f"{twice[0]}: given twice as --fused: leave one out")
    names = [escape_terminal(path.resolve().name if path.is_dir() else path.stem) for path in paths]
    if len(set(names)) == len(names) and not set(names) & set(REFERENCES):
        return names
    return [escape_terminal(str(path.resolve() if str(path) in REFERENCES else path)) for path in paths]
