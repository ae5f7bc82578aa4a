"""Methods from outside: what params.yaml says of them, and the facts that tables show.

Under ``fuse.<task>.<name>`` stands one of::

    cnn: {external: folder, path: ../fused/cnn}                      # images made elsewhere, one per pair
    mine: {external: model, path: mine.pt2}                          # TorchScript or torch.export, never a pickle
    tool: {external: command, command: "tool {a} {b} {out}"}         # a program that fuses two folders into a third

Each may carry ``paper``, ``year`` and ``notes`` for the tables.
"""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import TASKS
from sigforge.methods.registry import FusionMethod, list_methods

KEY = "external"
PLACEHOLDERS = ("{a}", "{b}", "{out}")
# The name becomes a folder and a row of tables.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    paper: str = ""
    year: int | None = None
    notes: str = ""


class FolderOptions(_Options):
    """A folder of fused images; a file is named like its pair's id or like its pair's source files."""

    external: Literal["folder"]
    path: str = Field(min_length=1)


class ModelOptions(_Options):
    """A network file: ``forward(a, b)`` maps two lumas (B, 1, H, W) in [0, 1] to their fusion."""

    external: Literal["model"]
    path: str = Field(min_length=1)


class CommandOptions(_Options):
    """A program, run without a shell, that fuses the PNGs of ``{a}`` and ``{b}``, named by pair id, into ``{out}``."""

    external: Literal["command"]
    command: str
    timeout: float = Field(3600, gt=0, description="seconds one run may take")
    batch: int = Field(256, ge=1, description="pairs per run")

    @field_validator("command")
    @classmethod
    def _names_its_folders(cls, command: str) -> str:
        if missing := [name for name in PLACEHOLDERS if name not in command]:
            raise ValueError(f"names no {', '.join(missing)}; write the three folders as {{a}}, {{b}} and {{out}}")
        return command


ExternalOptions = FolderOptions | ModelOptions | CommandOptions
_PARSER = TypeAdapter(Annotated[ExternalOptions, Field(discriminator=KEY)])


def parse_external(name: str, options: dict[str, object]) -> ExternalOptions:
    """Options of an external method, checked.

    Raises:
        UserError: an unknown kind or key, a wrong value, or a name that is taken or no file name.

    Example:
        >>> parse_external("cnn", {"external": "folder", "path": "fused"}).path
        'fused'
    """
    if name in list_methods(kind="classical"):
        raise UserError(f"the name is taken by a method of the project; choose another, e.g. {name}_published")
    if not NAME.fullmatch(name):
        raise UserError("the name becomes a folder; use letters, digits, '_', '-' and '.'")
    try:
        return _PARSER.validate_python(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"][1:]) or KEY
        problem = {"extra_forbidden": "unknown key; remove it", "missing": "is missing; add it"}.get(first["type"])
        raise UserError(f"{key}: {problem or first['msg'].removeprefix('Value error, ')}") from None


def external_method(name: str, options: dict[str, object]) -> FusionMethod:
    """The facts of an external method, as the registry has them of its own; it fuses in stage ``fuse`` alone.

    Raises:
        UserError: as :func:`parse_external`.
    """
    parsed = parse_external(name, options)
    origin = parsed.command if isinstance(parsed, CommandOptions) else parsed.path

    def refuse(sources: Tensor) -> Tensor:
        raise UserError(f"{name} is external ({parsed.external}): it fuses in stage 'fuse' alone")

    return FusionMethod(
        name,
        refuse,
        TASKS,
        paper=parsed.paper,
        year=parsed.year,
        n_sources=(2, 2),
        kind="external",
        notes=parsed.notes or f"external {parsed.external}: {origin}",
        symmetric=False,
    )
