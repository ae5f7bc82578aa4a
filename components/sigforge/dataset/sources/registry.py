"""Kinds of sources: what may stand under ``ingest.<task>.sources`` of params.yaml, and what is found there.

A kind is its options and a function that lists candidates for them; one module holds both. The modules of this package,
and those that installed packages name as entry points ``sigforge.sources``, are imported when params.yaml is read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

from sigforge.core.provenance import module_of
from sigforge.core.registry import Registry
from sigforge.dataset.tables import Quarantined


class SourceOptions(BaseModel):
    """Base of what a source can be told; ``kind: Literal["<name>"]`` names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str


@dataclass(frozen=True)
class PairCandidate:
    """Two files that may be a pair, not yet opened."""

    pair_id: str
    task: str
    subtask: str
    a_path: str
    b_path: str
    source: str
    licence: str


@dataclass(frozen=True)
class PhotoCandidate:
    """A photograph and its terms, not yet opened."""

    photo_id: str
    path: str
    source: str
    licence: str
    licence_url: str
    author: str
    allows_derivatives: bool
    allows_commercial: bool


@dataclass(frozen=True)
class SourceRequest:
    """What a source is asked for.

    Args:
        task: whose pairs; ``photos`` for photographs.
        seed: of the project, for what a source draws.
        folder: images that a source makes itself go into ``images`` below it.
        resolve: a configured path to the path it stands for.
    """

    task: str
    seed: int
    folder: Path
    resolve: Callable[[str], Path] = Path


@dataclass(frozen=True)
class SourceFinds:
    """What a source holds.

    Args:
        candidates: pairs or photographs, to be opened and checked.
        quarantined: files that cannot be used, with reasons.
        notes: what else a person should know, a line each.
        groups: pair id to a name; pairs of one name stay in one split.
        splits: pair id to the split that its authors have published.
    """

    candidates: Sequence[PairCandidate | PhotoCandidate]
    quarantined: Sequence[Quarantined] = ()
    notes: Sequence[str] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: "SourceFinds") -> "SourceFinds":
        return SourceFinds(
            [*self.candidates, *other.candidates],
            [*self.quarantined, *other.quarantined],
            [*self.notes, *other.notes],
            {**self.groups, **other.groups},
            {**self.splits, **other.splits},
        )


@dataclass(frozen=True)
class SourceKind:
    """One kind of sources: what it can be told, and how it is listed."""

    options: type[SourceOptions]
    find: Callable[[Any, SourceRequest], SourceFinds]


Find = TypeVar("Find", bound=Callable[[Any, SourceRequest], SourceFinds])

_WHERE: dict[str, Any] = {"modules": ("sigforge.dataset.sources.*",), "group": "sigforge.sources"}
PAIR_SOURCES: Registry[SourceKind] = Registry("source of pairs", **_WHERE)
PHOTO_SOURCES: Registry[SourceKind] = Registry("source of photographs", **_WHERE)


def pair_source(options: type[SourceOptions]) -> Callable[[Find], Find]:
    """Register the decorated function as a kind of sources of pairs, under the name that its options' ``kind`` takes.

    Raises:
        ValueError: the name is taken.
    """
    return _register(PAIR_SOURCES, options)


def photo_source(options: type[SourceOptions]) -> Callable[[Find], Find]:
    """Register the decorated function as a kind of sources of photographs; like :func:`pair_source`.

    Raises:
        ValueError: the name is taken.
    """
    return _register(PHOTO_SOURCES, options)


def _register(kinds: Registry[SourceKind], options: type[SourceOptions]) -> Callable[[Find], Find]:
    (name,) = get_args(options.model_fields["kind"].annotation)

    def register(find: Find) -> Find:
        kinds.add(name, SourceKind(options, find), holder=module_of(find))
        return find

    return register
