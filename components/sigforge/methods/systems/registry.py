"""How each system is trained, by its name: module ``training`` of its folder registers it.

A system's function yields one :class:`~sigforge.training.run.TrainingRun` after the other; whoever asks for
the next has finished the last, so what stands behind a ``yield`` sees trained networks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from sigforge.core.errors import UserError
from sigforge.core.registry import Registry
from sigforge.methods.systems.options import Options
from sigforge.methods.systems.training import Material
from sigforge.training.run import TrainingRun

Trainings = TypeVar("Trainings", bound=Callable[[Any, Material], Iterator[TrainingRun]])


@dataclass(frozen=True)
class System:
    """How a system is trained.

    Args:
        options: what it can be told under ``systems.<task>.<name>``.
        trainings: its runs, in their order.
        corpora: it also learns from the fused images of stage ``fuse``.
    """

    options: type[Options]
    trainings: Callable[[Any, Material], Iterator[TrainingRun]]
    corpora: bool = False


SYSTEMS: Registry[System] = Registry("system", modules=("sigforge.methods.systems.*.training",))


def system(name: str, *, options: type[Options], corpora: bool = False) -> Callable[[Trainings], Trainings]:
    """Register the decorated function as the trainings of a system; it stays callable as it is.

    Args:
        name: key in the registry and in ``params.yaml``; the fusion method of that name is what it trains.
        options: what it can be told.
        corpora: it also learns from the fused images of stage ``fuse``.

    Raises:
        ValueError: the name is taken.
    """

    def register(trainings: Trainings) -> Trainings:
        SYSTEMS.add(name, System(options, trainings, corpora), holder=trainings.__module__)
        return trainings

    return register


def parse_options(name: str, given: dict[str, Any]) -> Options:
    """Options of a system, checked.

    Raises:
        UserError: no such system (the nearest name is suggested), an unknown key, or a value out of range.

    Example:
        >>> parse_options("emma", {"fusion": {"steps": 10}}).fusion.batch
        8
    """
    wanted = SYSTEMS.get(name).options
    try:
        return wanted.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        problem = {"extra_forbidden": "unknown key; remove it"}.get(first["type"], first["msg"])
        raise UserError(f"{key}: {problem.removeprefix('Value error, ')}".removeprefix(": ")) from None
