"""Published networks: their checkpoints, how they are rebuilt, and the facts that tables need about them."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter, Signature, signature

from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import Task
from sigforge.methods.published.network import PublishedNet
from sigforge.methods.registry import FusionMethod

_METHODS: dict[str, "PublishedMethod"] = {}


@dataclass(frozen=True)
class Weights:
    """A published checkpoint: its name here, its exact bytes, where users get it and on which terms.

    Args:
        name: what it is called here; its converted file is ``<name>.safetensors``.
        path: of the file inside the repository.
        sha256: of the published file.
        repository: ``owner/name`` on GitHub.
        commit: at which the file was seen.
        licence: SPDX name, or ``none stated``.
        swapped: it was trained with the task's sources in the other order than ours.
    """

    name: str
    path: str
    sha256: str
    repository: str
    commit: str
    licence: str = "none stated"
    swapped: bool = False

    @property
    def url(self) -> str:
        """Where the published file is downloaded."""
        return f"https://github.com/{self.repository}/raw/{self.commit}/{self.path}"

    @property
    def advice(self) -> str:
        """How a user gets it and makes it usable, in one line."""
        return f"download {self.url} and run 'sigforge weights import {self.path.rpartition('/')[2]}'"


@dataclass(frozen=True)
class PublishedMethod(FusionMethod):
    """A published network as a fusion method; it fuses once it has been given weights.

    Args:
        build: makes the network, untrained.
        weights: the checkpoint each task runs with.
    """

    build: Callable[[], PublishedNet] = PublishedNet
    weights: Mapping[Task, Weights] = field(default_factory=dict)

    def weights_for(self, task: str | None) -> Weights:
        """The checkpoint of a task; of the first task the method is meant for if none is said.

        Raises:
            UserError: no checkpoint was published for the task.
        """
        if task is not None and task not in self.weights:
            raise UserError(f"{self.name}: no weights were published for {task}; it serves {', '.join(self.tasks)}")
        return self.weights[task or self.tasks[0]]

    def tasks_of(self, weights: Weights) -> tuple[Task, ...]:
        """The tasks that run with a checkpoint."""
        return tuple(task for task, own in self.weights.items() if own == weights)


def published(
    name: str,
    *,
    build: Callable[[], PublishedNet],
    weights: Weights | Mapping[Task, Weights],
    tasks: tuple[Task, ...] = (),
    paper: str,
    year: int,
    parameters: int,
    flops: int,
    equation: str,
    n_sources: tuple[int, int | None] = (2, 2),
    notes: str = "",
) -> None:
    """Register a published network under ``name``; the arguments are the fields of :class:`PublishedMethod`.

    Args:
        tasks: needed if one checkpoint serves them all; else those of ``weights``.

    Raises:
        ValueError: the name is taken.
    """
    if name in _METHODS:
        raise ValueError(f"published network {name!r} is defined twice")
    by_task = dict.fromkeys(tasks, weights) if isinstance(weights, Weights) else dict(weights)
    _METHODS[name] = PublishedMethod(
        name,
        _placeholder(name, build),
        tuple(by_task),
        paper=paper,
        year=year,
        n_sources=n_sources,
        kind="learned",
        equation=equation,
        notes=notes,
        symmetric=n_sources[1] is None,
        build=build,
        weights=by_task,
        parameters=parameters,
        flops=flops,
    )


def list_published() -> tuple[str, ...]:
    """Names of all published networks, sorted."""
    return tuple(sorted(_methods()))


def get_published(name: str) -> PublishedMethod:
    """The published network of that name.

    Raises:
        KeyError: there is none.
    """
    return _methods()[name]


def list_weights() -> tuple[Weights, ...]:
    """Every published checkpoint once, sorted by name."""
    every = {weights.name: weights for method in _methods().values() for weights in method.weights.values()}
    return tuple(every[name] for name in sorted(every))


def methods_using(weights: Weights) -> tuple[PublishedMethod, ...]:
    """The methods that run with a checkpoint, sorted by name."""
    return tuple(_methods()[name] for name in list_published() if weights in _methods()[name].weights.values())


def _placeholder(name: str, build: Callable[[], PublishedNet]) -> Callable[..., Tensor]:
    """Stands where the network's ``fuse`` will: the same options, but it only says what is missing."""

    def needs_weights(sources: Tensor, **options: object) -> Tensor:
        raise UserError(f"{name} fuses with published weights: use sigforge.models.load('{name}', task)")

    network = getattr(build, "func", build)
    options = [p for p in signature(network.fuse).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    needs_weights.__signature__ = Signature([Parameter("sources", Parameter.POSITIONAL_ONLY), *options])
    return needs_weights


@cache
def _import_networks() -> None:
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")


def _methods() -> dict[str, PublishedMethod]:
    _import_networks()
    return _METHODS
