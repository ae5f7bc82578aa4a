"""Systems as fusion methods: networks of other papers, which stage ``systems`` trains for each task.

The facts of each stand in module ``method`` of its folder. ReFusion's authors published weights, which are the method
``refusion``; what is trained here is ``refusion_trained``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import TASKS
from sigforge.methods.registry import METHODS, get_method
from sigforge.methods.trained import TrainedMethod, untrained
from sigforge.methods.weights import HISTORY, MODEL

AFTER_SYNTHETIC = "_synth"
"""Ends the name, in all tables, of a system that stage ``transfer`` trained on synthetic pairs first."""


@dataclass(frozen=True)
class TrainedSystem(TrainedMethod):
    """A system as a fusion method; it fuses once it has been given the weights that were trained for a task."""


def trained_system(
    name: str,
    *,
    build: Callable[[], nn.Module],
    read: Callable[[Path], nn.Module],
    file_kind: str,
    paper: str,
    year: int,
    notes: str,
    parameters: int,
    flops: int,
    n_sources: tuple[int, int | None] = (2, 2),
    symmetric: bool = False,
) -> None:
    """Register a system as a fusion method.

    Args:
        name: key in the registry, in ``params.yaml`` and on the command line.
        build: makes the network as it is by default, not trained.
        read: gives the network of a model file.
        file_kind: what its model files say that they hold.
        paper: authors, title and venue.
        year: of the paper.
        notes: what a reader of a table should know of this training of it.
        parameters: learned numbers, parts for training included.
        flops: of ``fuse`` on one 640x480 image, see :func:`sigforge.methods.cost.count_flops`.
        n_sources: fewest and most; None for any number.
        symmetric: the order of the sources does not matter.

    Raises:
        ValueError: the name is taken.
    """
    system = TrainedSystem(
        name,
        untrained(name),
        TASKS,
        paper=paper,
        year=year,
        n_sources=n_sources,
        kind="learned",
        notes=f"trained here on the task's own pairs; {notes}; size and cost by default parameters",
        symmetric=symmetric,
        parameters=parameters,
        flops=flops,
        build=build,
        read=read,
        file_kind=file_kind,
        place=f"data/systems/{{task}}/{name}/{MODEL}",
        mend="name it under 'systems.{task}' of params.yaml and run 'dvc repro systems@{task}'",
    )
    METHODS.add(name, system, holder=system.module)


def list_systems() -> tuple[str, ...]:
    """Names of the systems, sorted."""
    return tuple(system.name for system in METHODS.of(TrainedSystem))


def get_system(name: str) -> TrainedSystem:
    """What is known of a system.

    Raises:
        UserError: there is none of this name; the message suggests the nearest.

    Example:
        >>> get_system("emma").year
        2024
    """
    method = get_method(name)
    if not isinstance(method, TrainedSystem):
        raise UserError(f"{name!r} is no system: choose from {', '.join(list_systems())}")
    return method


def method_of_system(name: str) -> TrainedSystem:
    """The system behind a method of the tables: its own name, or the one it has after stage ``transfer``.

    Example:
        >>> method_of_system("emma_synth").notes.partition(";")[0]
        'trained on synthetic pairs, then on real ones'
    """
    system = get_system(name.removesuffix(AFTER_SYNTHETIC))
    notes = "trained on synthetic pairs, then on real ones; else as without them"
    return system if system.name == name else replace(system, name=name, notes=notes)


def is_system(name: str) -> bool:
    """Whether a method is one of the systems, with or without stage ``transfer``."""
    return name.removesuffix(AFTER_SYNTHETIC) in list_systems()


def tabled_systems(systems: Path, transfer: Path) -> dict[str, Path]:
    """Name in the tables to model file, of what stages ``systems`` and ``transfer`` trained for a task."""
    again = {f"{name}{AFTER_SYNTHETIC}": path for name, path in trained_systems(transfer).items()}
    return trained_systems(systems) | again


def trained_systems(folder: Path) -> dict[str, Path]:
    """Name to model file of the systems that are finished in a stage's folder for a task."""
    found = {name: folder / name for name in list_systems()}
    return {name: part / MODEL for name, part in found.items() if (part / MODEL).exists() and (part / HISTORY).exists()}
