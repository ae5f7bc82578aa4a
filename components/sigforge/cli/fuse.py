"""``sigforge fuse``."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sigforge.cli.console import say
from sigforge.cli.inputs import FilePair, match, report_left_out, report_notes
from sigforge.core.device import pick_device
from sigforge.core.errors import ImageError, NameRefused, UserError
from sigforge.core.escape import escape_terminal
from sigforge.core.images import read_image, require_same_size, write_image
from sigforge.core.progress import progress
from sigforge.dataset.doubts import Doubt, Source, doubts_about, told
from sigforge.dataset.tables import Quarantined
from sigforge.methods.apply import LumaFusion, fuse_arrays
from sigforge.methods.loading import load
from sigforge.methods.registry import FusionMethod, list_methods


def fuse_inputs(a: Path, b: Path, out: Path, *, task: str, model: str, options: Sequence[str]) -> int:
    """Fuse two files into ``out``, or the pairs of two folders into the folder ``out``.

    Args:
        a: first source, a file or a folder.
        b: second source; files of folders are matched by their stems.
        out: a folder, or a ``.png`` file for one pair.
        task: fixes colour, and which methods will do.
        model: name of a method, or a ``.safetensors`` file.
        options: of the method, ``key=value`` each.

    Returns:
        1 if a pair of the folders was left out, else 0.

    Raises:
        UserError: a wrong path, method or option; for a single pair also an image that cannot be used.
    """
    jobs, left_out = match(a, b)
    targets = plan_outputs(jobs, out, (a, b))
    device = pick_device().torch.type
    method = load(model, task, device=device)
    if task not in method.tasks:
        choices = ", ".join(list_methods(task))
        raise UserError(f"method '{model}' serves {', '.join(method.tasks)}, not {task}: choose one of {choices}")
    given: dict[str, Any] = options_from_texts(method, options)
    fuse = partial(method.fuse, **given)
    where = device if method.kind == "learned" else "cpu"
    report_left_out(left_out)
    report_notes(a, b)
    failed, doubts = 0, list[Doubt]()
    with progress(f"fuse {task}", len(jobs)) as bar:
        for job, target in zip(jobs, targets, strict=True):
            try:
                write_image(target, *fuse_job(job, fuse, task, where, doubts))
            except (ImageError, NameRefused) as error:
                if not a.is_dir():
                    raise
                report_left_out([error if isinstance(error, ImageError) else _refused(job, error)])
                failed += 1
            bar.advance(note=job.name)
    for line in told(doubts, len(jobs)):
        print(escape_terminal(f"warning: {line}"), file=sys.stderr)
    say(f"{out}: {len(jobs) - failed} of {len(jobs)} pairs fused with {model}")
    return 1 if failed or left_out else 0


def fuse_job(
    job: FilePair, fuse: LumaFusion, task: str, device: str, doubts: list[Doubt] | None = None
) -> tuple[np.ndarray, int]:
    """Fuse one pair of files.

    Args:
        job: both files.
        fuse: two lumas (B, 1, H, W) in [0, 1] to one.
        task: fixes where the colour comes from.
        device: ``cpu`` or ``cuda``.
        doubts: takes what is odd about the pair.

    Returns:
        pixels in [0, 1], and the bits that hold them: 16 if a source has more than 8.

    Raises:
        ImageError: a file cannot be used, or the two differ in size.
    """
    (a, a_info), (b, b_info) = read_image(job.a), read_image(job.b)
    require_same_size((job.a, a), (job.b, b))
    if doubts is not None:
        doubts += doubts_about(task, Source(job.a, a, a_info), Source(job.b, b, b_info))
    deep = max(a_info.bit_depth, b_info.bit_depth) > 8
    return fuse_arrays(fuse, a, b, task, device=device), 16 if deep else 8


def _refused(job: FilePair, error: NameRefused) -> Quarantined:
    return Quarantined(job.a, "fuse", "odd_name", f"result: {error}")


def plan_outputs(jobs: Sequence[FilePair], out: Path, sources: tuple[Path, Path]) -> list[Path]:
    """Where each result goes.

    Args:
        jobs: the pairs, in order.
        out: a folder, or a ``.png`` file for one pair.
        sources: both paths that the user gave, files or folders.

    Returns:
        one ``.png`` file for each pair.

    Raises:
        UserError: ``out`` is a file of another kind than PNG, or results would replace sources or lie among them.
    """
    one_file = bool(out.suffix) and not out.is_dir() and not sources[0].is_dir()
    if one_file and out.suffix.lower() != ".png":
        raise UserError(f"{out}: results are lossless PNG: give a name that ends in .png, or a folder")
    targets = [out] if one_file else [out / f"{job.name}.png" for job in jobs]
    if {path.resolve() for path in (out, *targets)} & {path.resolve() for path in sources}:
        raise UserError(f"{out}: holds or is a source, which results would replace or be taken for: give another --out")
    return targets


def options_from_texts(method: FusionMethod, texts: Sequence[str]) -> dict[str, object]:
    """``key=value`` texts as options of a method, in the types of its defaults.

    Raises:
        UserError: an unknown option, or a value of another type.

    Example:
        >>> from sigforge.methods.registry import get_method
        >>> options_from_texts(get_method("gff"), ["eps1=1e-3", "r1=31"])
        {'eps1': 0.001, 'r1': 31}
    """
    options: dict[str, object] = {}
    for text in texts:
        key, _, value = text.partition("=")
        method.check_options({} if key in method.defaults else {key: value})
        kind: Callable[[str], object] = type(method.defaults[key])
        try:
            options[key] = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        except (ValueError, KeyError):
            name = type(method.defaults[key]).__name__
            raise UserError(f"--option {text}: write {key}=VALUE with a value of type {name}") from None
    return options
