"""An entry of the catalogue, and reading them."""

from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import MODALITIES, Task

PACKAGE = "sigforge.dataset.catalogue"


class CatalogueModel(BaseModel):
    """Base of what stands in the YAML files: frozen, strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PairRule(CatalogueModel):
    """How the files of a pair, a sequence or a photograph are found below the root.

    A template has folders, literal text and fields: ``{split}``, ``{n}`` (digits), ``{id}`` and others of any name.
    ``.*`` at its end is any image extension, letters count in either case, and folders may stand before it.
    """

    a: str = Field("", description="template of the first source")
    b: str = Field("", description="template of the second; its fields must be those of the first")
    scene: str = Field("", description="template of a sequence; its fields but {n} or {name} name the scene")
    photo: str = Field("", description="template of photographs")
    subtask: str = ""
    order: Literal["name", "brightness"] = Field("name", description="of a sequence: what makes the first and the last")

    @model_validator(mode="after")
    def _one_kind(self) -> "PairRule":
        if [bool(self.a and self.b), bool(self.scene), bool(self.photo)].count(True) != 1:
            raise ValueError("a rule has a and b, or scene, or photo")
        return self


class PublishedSplit(CatalogueModel):
    """The division that the authors have published: by folder, or by lists of names."""

    folders: dict[str, Literal["train", "val", "test"]] = Field(
        {}, description="what {split} may be, and what it means"
    )
    lists: dict[Literal["train", "val", "test"], str] = Field({}, description="file of names, a line each")
    strip: str = Field("", description="end of a line that is no part of the name")
    all: Literal["", "train", "val", "test"] = Field("", description="every pair is of this split, as of a benchmark")


class DownloadPlace(CatalogueModel):
    """Where a program can get the files; empty where only a person can."""

    git: str = ""
    commit: str = ""
    url: str = ""
    sha256: str = ""


class CatalogueEntry(CatalogueModel):
    """What is known of a data set. What is not known stays empty.

    Attributes:
        name: as people type it.
        title: as its authors write it.
        task: of its pairs, or ``photos``.
        home: address.
        licence: as its authors state it; ``not stated`` where they do not.
        licence_url: where the terms stand.
        citation: BibTeX.
        sources: where these facts were found.
        get: for a program.
        by_hand: how a person gets it, where a program cannot.
        counts: ``pairs`` or ``photos``, also by split or by sub-task where they are published.
        ids: regular expression that the names of its files follow, if they do.
        layouts: each a set of rules that hold together; the one that gives most pairs is taken.
        split: as published.
        notes: what a user should know.
    """

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    task: Task | Literal["photos"]
    home: str
    licence: str
    licence_url: str = ""
    citation: str
    sources: tuple[str, ...] = Field(min_length=1)
    get: DownloadPlace = DownloadPlace()
    by_hand: str = ""
    counts: dict[str, int] = {}
    ids: str = ""
    layouts: tuple[tuple[PairRule, ...], ...] = Field(min_length=1)
    split: PublishedSplit = PublishedSplit()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _subtasks_are_known(self) -> "CatalogueEntry":
        if self.task != "photos":
            for rule in (rule for layout in self.layouts for rule in layout):
                if (rule.subtask or self.task) not in MODALITIES[self.task]:
                    raise ValueError(f"a rule of task {self.task} has the sub-task {rule.subtask or self.task!r}")
        return self


@cache
def catalogue() -> dict[str, CatalogueEntry]:
    """All entries by name, in alphabetical order."""
    files = sorted(file.name for file in resources.files(PACKAGE).iterdir() if file.name.endswith(".yaml"))
    entries = (read_entry(resources.files(PACKAGE).joinpath(name).read_text("utf-8"), name) for name in files)
    return {entry.name: entry for entry in entries}


def entry_of(name: str) -> CatalogueEntry:
    """One entry.

    Raises:
        UserError: no such name; the message lists those there are.
    """
    if name not in catalogue():
        raise UserError(f"data set {name!r} is not in the catalogue: choose one of {', '.join(catalogue())}")
    return catalogue()[name]


def read_entry(text: str, name: str) -> CatalogueEntry:
    """The entry in a YAML text; ``name`` is used in errors.

    Raises:
        UserError: it is not one.
    """
    try:
        return CatalogueEntry.model_validate(yaml.safe_load(text))
    except yaml.YAMLError:
        raise UserError(f"{name}: not valid YAML: mend the syntax") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{name}: key '{key}': {first['msg'].removeprefix('Value error, ')}: correct it") from None
