"""Published networks as fusion methods: their checkpoints, how they are rebuilt, the facts that tables need."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter, Signature, signature
from typing import Any

from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.core.provenance import module_of
from sigforge.dataset.tasks import Task
from sigforge.methods.published.network import PublishedNet
from sigforge.methods.registry import METHODS, FusionMethod


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

    @property
    def module(self) -> str:
        """The module of the network."""
        return module_of(self.build)

    def ready(self, task: str | None = None, *, device: str = "cpu") -> "PublishedMethod":
        """The method with its published weights.

        Raises:
            UserError: they have not been imported, or were made from another file than the published one.
        """
        from sigforge.methods.published.checkpoints import load_network

        return replace(self, function=load_network(self, task).to(device).fuse)

    def weights_for(self, task: str | None) -> Weights:
        """The checkpoint of a task; of the first task the method is meant for if none is said.

        Raises:
            UserError: no checkpoint was published for the task.
        """
        wanted = task or self.tasks[0]
        for known, weights in self.weights.items():
            if known == wanted:
                return weights
        raise UserError(f"{self.name}: no weights were published for {task}; it serves {', '.join(self.tasks)}")

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
        name: key in the registry.
        build: makes the network without its weights.
        weights: of all tasks, or by task: where they are had, sha256, licence.
        tasks: needed if one checkpoint serves them all; else those of ``weights``.
        paper: authors, title and venue.
        year: of the paper.
        parameters: learned numbers, batch-norm statistics not counted.
        flops: on one 640x480 image, multiplications and additions apart.
        equation: the fusion rule in one line.
        n_sources: least and greatest number of sources, None for no limit.
        notes: what a reader of a table should know.

    Raises:
        ValueError: the name is taken.
    """
    by_task = dict.fromkeys(tasks, weights) if isinstance(weights, Weights) else dict(weights)
    method = PublishedMethod(
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
    METHODS.add(name, method, holder=method.module)


def list_published() -> tuple[str, ...]:
    """Names of all published networks, sorted."""
    return tuple(method.name for method in METHODS.of(PublishedMethod))


def list_weights() -> tuple[Weights, ...]:
    """Every published checkpoint once, sorted by name."""
    every = {weights.name: weights for method in METHODS.of(PublishedMethod) for weights in method.weights.values()}
    return tuple(every[name] for name in sorted(every))


def methods_using(weights: Weights) -> tuple[PublishedMethod, ...]:
    """The methods that run with a checkpoint, sorted by name."""
    return tuple(method for method in METHODS.of(PublishedMethod) if weights in method.weights.values())


def _placeholder(name: str, build: Callable[[], PublishedNet]) -> Callable[..., Tensor]:
    """Stands where the network's ``fuse`` will: the same options, but it only says what is missing."""

    def needs_weights(sources: Tensor, **options: object) -> Tensor:
        raise UserError(f"{name} fuses with published weights: use sigforge.models.load('{name}', task)")

    network: Any = getattr(build, "func", build)
    options = [p for p in signature(network.fuse).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    needs_weights.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter("sources", Parameter.POSITIONAL_ONLY), *options]
    )
    return needs_weights
