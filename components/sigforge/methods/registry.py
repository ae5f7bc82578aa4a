"""Registry of fusion methods: what each is called, where it comes from, what it accepts.

A classical method is a function ``(sources, *, option=default, ...) -> fused`` on ``sources`` of shape ``(n, B, 1, H,
W)`` with values in [0, 1]; it returns ``(B, 1, H, W)`` in [0, 1]. A learned one is a network, which fuses once
:meth:`FusionMethod.ready` has given it weights. The modules that register them, and those that installed packages name
as entry points ``sigforge.methods``, are imported when the first method is asked for: adding one means adding a file.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.core.provenance import module_of
from sigforge.core.registry import Registry
from sigforge.dataset.tasks import TASKS, Task

Kind = Literal["classical", "learned", "external"]


@dataclass(frozen=True)
class FusionMethod:
    """A fusion method and the facts that tables and configuration need about it.

    Args:
        name: key in the registry, in ``params.yaml`` and on the command line.
        function: maps sources ``(n, B, 1, H, W)`` in [0, 1] to the fused ``(B, 1, H, W)`` in [0, 1].
        tasks: tasks it is meant for.
        paper: authors, title and venue; empty for folklore.
        year: of the paper, None for folklore.
        n_sources: least and greatest number of sources, None for no limit.
        kind: ``classical`` needs no weights, ``learned`` does, ``external`` is made by something outside the project.
        equation: the fusion rule in one line.
        notes: deviations from the paper that a reader of a table should know.
        symmetric: the order of the sources does not matter.
        parameters: learned numbers, batch-norm statistics not counted.
        flops: of a network on one 640x480 image (see :func:`sigforge.methods.cost.count_flops`), None for the others.
    """

    name: str
    function: Callable[..., Tensor]
    tasks: tuple[Task, ...]
    paper: str = ""
    year: int | None = None
    n_sources: tuple[int, int | None] = (2, None)
    kind: Kind = "classical"
    equation: str = ""
    notes: str = ""
    symmetric: bool = True
    parameters: int = 0
    flops: int | None = None

    @property
    def module(self) -> str:
        """The module that defines it, whose imports decide what it fuses."""
        return module_of(self.function)

    def ready(self, task: str | None = None, *, device: str = "cpu") -> "FusionMethod":
        """The method with the weights it needs, so that it can fuse; one that needs none is itself.

        Args:
            task: whose weights, where each task has its own; the first that it serves if not said.
            device: ``cpu`` or ``cuda``, where a network runs.

        Raises:
            UserError: the weights are not there; one line says how to get them.
        """
        return self

    @property
    def defaults(self) -> dict[str, object]:
        """Options the method knows, with their default values."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def fuse(self, a: Tensor, b: Tensor, *more: Tensor, **options: object) -> Tensor:
        """Fuse two or more registered images.

        Args:
            a: batch of single planes, ``(B, 1, H, W)`` float32 in [0, 1].
            b: the same scene, same shape.
            *more: further sources where the method takes more than two.
            **options: options of the method; see :attr:`defaults`.

        Returns:
            The fused planes, ``(B, 1, H, W)`` float32 in [0, 1].

        Raises:
            ValueError: shapes, type, range or number of the sources do not fit; the message names both shapes.
            UserError: an unknown option, or a value the option cannot take.

        Example:
            >>> get_method("mean").fuse(torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)).mean()
            tensor(0.5000)
        """
        sources = (a, b, *more)
        self._check_count(len(sources))
        _check_sources(self.name, sources)
        self.check_options(options)
        with torch.no_grad():
            return self.function(torch.stack(sources), **options)

    def _check_count(self, count: int) -> None:
        least, most = self.n_sources
        if count < least or (most is not None and count > most):
            wanted = f"at least {least}" if most is None else f"{least} to {most}" if most > least else f"{least}"
            raise ValueError(f"{self.name} fuses {wanted} sources, got {count}")

    def check_options(self, options: dict[str, object]) -> None:
        """Raise a UserError at an unknown option or one of the wrong type; what fuse() does first."""
        for key, value in options.items():
            if key not in self.defaults:
                known = ", ".join(self.defaults) or "none"
                raise UserError(f"{self.name}: unknown option {key!r}; known options: {known}")
            wanted = type(self.defaults[key])
            accepted = (int, float) if wanted is float else wanted
            if isinstance(value, bool) is not (wanted is bool) or not isinstance(value, accepted):
                raise UserError(f"{self.name}: option {key}={value!r} must be of type {wanted.__name__}")


METHODS: Registry[FusionMethod] = Registry(
    "method",
    modules=(
        "sigforge.methods.classical.*",
        "sigforge.methods.published.*",
        "sigforge.methods.sigfusion.method",
        "sigforge.methods.systems.*.method",
    ),
    group="sigforge.methods",
)


def fusion_method(
    name: str,
    *,
    tasks: tuple[Task, ...],
    paper: str = "",
    year: int | None = None,
    n_sources: tuple[int, int | None] = (2, None),
    kind: Kind = "classical",
    equation: str = "",
    notes: str = "",
    symmetric: bool = True,
) -> Callable[[Callable], Callable]:
    """Register the decorated function as a fusion method; it stays callable as it is.

    Args:
        name: key in the registry, in ``params.yaml`` and on the command line.
        tasks: tasks it is meant for.
        paper: authors, title and venue; empty for folklore.
        year: of the paper, None for folklore.
        n_sources: least and greatest number of sources, None for no limit.
        kind: ``classical`` needs no weights, ``learned`` does, ``external`` is made by something outside the project.
        equation: the fusion rule in one line.
        notes: deviations from the paper that a reader of a table should know.
        symmetric: the order of the sources does not matter.

    Raises:
        ValueError: the name is taken, or a task is unknown.
    """
    if unknown := set(tasks) - set(TASKS):
        raise ValueError(f"fusion method {name!r}: unknown tasks {sorted(unknown)}")

    def register(function: Callable) -> Callable:
        method = FusionMethod(name, function, tasks, paper, year, n_sources, kind, equation, notes, symmetric)
        METHODS.add(name, method, holder=f"{function.__module__}.{function.__qualname__}")
        return function

    return register


def list_methods(task: str | None = None, *, kind: Kind | None = None) -> tuple[str, ...]:
    """Names of all methods, sorted.

    Args:
        task: only those meant for it.
        kind: only those of it.

    Raises:
        UserError: the task is unknown.

    Example:
        >>> "mertens" in list_methods("mef"), "mertens" in list_methods("mif")
        (True, False)
    """
    if task is not None and task not in TASKS:
        raise UserError(f"unknown task {task!r}; tasks are {', '.join(TASKS)}")
    fitting = (m for m in METHODS.entries() if task is None or task in m.tasks)
    return tuple(method.name for method in fitting if kind in (None, method.kind))


def get_method(name: str) -> FusionMethod:
    """What is known of a method; a learned one fuses only once it is :meth:`~FusionMethod.ready`.

    Raises:
        UserError: there is none of this name; the message suggests the nearest.
    """
    return METHODS.get(name)


def at_least(bound: float, **options: float) -> None:
    """Refuse options below a bound.

    Raises:
        UserError: naming the first such option.
    """
    for key, value in options.items():
        if not value >= bound:
            raise UserError(f"option {key}={value} must be at least {bound:g}")


def _check_sources(name: str, sources: tuple[Tensor, ...]) -> None:
    first = sources[0]
    for other in sources[1:]:
        if other.shape != first.shape:
            raise ValueError(f"{name}: sources differ in shape: {tuple(first.shape)} and {tuple(other.shape)}")
    if first.ndim != 4 or first.shape[1] != 1 or first.numel() == 0:
        raise ValueError(f"{name}: sources must be (B, 1, H, W) and not empty, got {tuple(first.shape)}")
    for source in sources:
        if source.dtype != torch.float32:
            raise ValueError(f"{name}: sources must be float32, got {source.dtype}")
        if not bool(((source >= 0) & (source <= 1)).all()):
            raise ValueError(f"{name}: sources must lie in [0, 1] without NaN")
