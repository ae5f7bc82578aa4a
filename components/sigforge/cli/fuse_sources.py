"""``sigforge fuse --source``: more than two images of a scene, exposures or focus slices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from sigforge.cli.console import say
from sigforge.cli.fuse import options_from_texts, plan_outputs
from sigforge.cli.inputs import FilePair, match, report_left_out
from sigforge.core.device import pick_device
from sigforge.core.errors import ImageError, UserError
from sigforge.core.images import read_image, require_same_size, write_image
from sigforge.core.progress import progress
from sigforge.dataset.sequences import read_sequences
from sigforge.dataset.tables import Quarantined
from sigforge.methods.apply import fuse_sources
from sigforge.methods.loading import load
from sigforge.methods.registry import FusionMethod, list_methods


@dataclass(frozen=True)
class SceneJob:
    """Files of one scene, in the order of the sources, and the stem they share."""

    name: str
    paths: tuple[str, ...]


def given_sources(a: Path | None, b: Path | None, sources: Sequence[Path]) -> list[Path]:
    """What is to be fused: A and B, or all that was given by ``--source``.

    Args:
        a: first source, if it was given.
        b: second source, likewise.
        sources: given by ``--source``.

    Raises:
        UserError: both ways were used, or fewer than two were given.
    """
    positional = [path for path in (a, b) if path is not None]
    if positional and sources:
        raise UserError("give two sources as A and B, or all of them by --source, not both")
    found = [*positional, *sources]
    if len(found) < 2:
        raise UserError("a fusion needs two sources or more: give A and B, or --source twice or more")
    return found


def fuse_many(sources: Sequence[Path], out: Path, *, task: str, model: str, options: Sequence[str]) -> int:
    """Fuse the scenes of three or more files or folders.

    Args:
        sources: files, or folders whose files are matched by their stems.
        out: a folder, or a ``.png`` file for one scene.
        task: fixes colour, and which methods will do.
        model: name of a method, or a ``.safetensors`` file.
        options: of the method, ``key=value`` each.

    Returns:
        1 if a scene was left out, else 0.

    Raises:
        UserError: a wrong path, method or option, or a method that takes fewer sources.
    """
    jobs, left_out = match_scenes(sources)
    pairs = [FilePair(job.name, *job.paths[:2]) for job in jobs]
    targets = plan_outputs(pairs, out, (sources[0], sources[1]))
    if {path.resolve() for path in (out, *targets)} & {path.resolve() for path in sources}:
        raise UserError(f"{out}: holds or is a source, which results would replace: give another --out")
    report_left_out(left_out)
    failed = _fuse(jobs, targets, task=task, model=model, options=options, single=not sources[0].is_dir())
    say(f"{out}: {len(jobs) - failed} of {len(jobs)} scenes of {len(sources)} sources fused with {model}")
    return 1 if failed or left_out else 0


def fuse_sequences(table: Path, out: Path, *, task: str, model: str, options: Sequence[str]) -> int:
    """Fuse every scene of a table of sequences, all of its images at once.

    Args:
        table: ``sequences.parquet``.
        out: a folder.
        task: fixes colour, and which methods will do.
        model: name of a method, or a ``.safetensors`` file.
        options: of the method, ``key=value`` each.

    Returns:
        1 if a scene was left out, else 0.

    Raises:
        UserError: no such table, a wrong method or option, or a method that takes fewer sources.
    """
    jobs = [SceneJob(name, paths) for name, paths in read_sequences(table).items()]
    targets = [out / f"{job.name}.png" for job in jobs]
    failed = _fuse(jobs, targets, task=task, model=model, options=options, single=False)
    say(f"{out}: {len(jobs) - failed} of {len(jobs)} scenes fused with {model}")
    return 1 if failed else 0


def _fuse(
    jobs: Sequence[SceneJob], targets: Sequence[Path], *, task: str, model: str, options: Sequence[str], single: bool
) -> int:
    """Fuse and write; how many scenes could not be, which for a single one is an error."""
    device = pick_device().torch.type
    method = load(model, task, device=device)
    _require(method, model, task, max((len(job.paths) for job in jobs), default=2))
    fuse: Callable[..., Tensor] = partial(method.fuse, **options_from_texts(method, options))  # type: ignore[arg-type]
    failed = 0
    with progress(f"fuse {task}", len(jobs)) as bar:
        for job, target in zip(jobs, targets, strict=True):
            try:
                images, depth = _read(job)
                fused = fuse_sources(fuse, images, task, device=device if method.kind == "learned" else "cpu")
                write_image(target, fused, depth)
            except ImageError as error:
                if single:
                    raise
                report_left_out([error])
                failed += 1
            bar.advance(note=job.name)
    return failed


def match_scenes(sources: Sequence[Path]) -> tuple[list[SceneJob], list[Quarantined]]:
    """Files of every source that share a stem with one of the first, and those that do not.

    Raises:
        UserError: a path is missing, a file is given with a folder, or two folders have nothing in common.
    """
    partners: dict[str, list[str]] = {}
    left_out: dict[str, Quarantined] = {}
    for number, other in enumerate(sources[1:], start=2):
        found, left = match(sources[0], other)
        left_out |= {item.path: item for item in left}
        for pair in found:
            paths = partners.setdefault(pair.name, [pair.a])
            if len(paths) == number - 1:
                paths.append(pair.b)
    jobs = [SceneJob(name, tuple(paths)) for name, paths in sorted(partners.items()) if len(paths) == len(sources)]
    if not jobs:
        raise UserError(f"{sources[0]}: no file stem is in all {len(sources)} sources: name files of a scene alike")
    return jobs, list(left_out.values())


def _require(method: FusionMethod, model: str, task: str, count: int) -> None:
    if task not in method.tasks:
        choices = ", ".join(list_methods(task))
        raise UserError(f"method '{model}' serves {', '.join(method.tasks)}, not {task}: choose one of {choices}")
    most = method.n_sources[1]
    if most is not None and count > most:
        raise UserError(
            f"method '{model}' fuses at most {most} sources, {count} are given: choose mertens, gff, laplacian"
        )


def _read(job: SceneJob) -> tuple[list[np.ndarray], int]:
    """Images of one size, and the bits of the result."""
    read = [read_image(path) for path in job.paths]
    first = (job.paths[0], read[0][0])
    for path, (image, _) in zip(job.paths[1:], read[1:], strict=True):
        require_same_size(first, (path, image))
    return [image for image, _ in read], 16 if max(info.bit_depth for _, info in read) > 8 else 8
