"""Which fused images belong to which sources: what ``sigforge score`` was given, matched by stem."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sigforge.cli.inputs import FilePair, match
from sigforge.core.errors import UserError
from sigforge.core.escape import escape_terminal
from sigforge.dataset.tables import Quarantined
from sigforge.evaluation.file_scores import ScoringUnit
from sigforge.evaluation.references import REFERENCES


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
    bad, missing = [*bad, *without], list[Quarantined]()
    made: dict[str, dict[str, str]] = {}
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


def _partners(a: Path, jobs: Sequence[FilePair], path: Path) -> tuple[dict[str, str], list[Quarantined]]:
    """The images of a folder by the stems of the sources, or the one file for the one pair."""
    if a.is_dir() and path.is_dir() and os.path.samefile(a, path):  # a copy of the first source is a method, too
        return {job.name: job.a for job in jobs}, []
    found, without = match(a, path)
    return ({job.name: job.b for job in found} if a.is_dir() else {jobs[0].name: str(path)}), without


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
