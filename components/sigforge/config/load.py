"""Reading params.yaml into the models of :mod:`sigforge.config.sections`, and switching between configurations.

Unknown keys and wrong types are errors before the first pixel is read. ``python -m sigforge.config use real`` writes
the committed params.yaml with the values of ``conf/real.yaml`` laid over it; ``use demo`` puts the committed one back.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError
from ruamel.yaml import YAML

from sigforge.config.sections import Params
from sigforge.core.errors import UserError
from sigforge.core.files import write_atomic
from sigforge.dataset.sources.registry import PAIR_SOURCES, PHOTO_SOURCES
from sigforge.dataset.tasks import TASKS

PARAMS = Path("params.yaml")
REALDATA = "SIGFORGE_REALDATA"


def load_params(path: Path = PARAMS) -> Params:
    """Read and validate params.yaml.

    Raises:
        UserError: one line naming the file, the key, what is wrong and the mend.
    """
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; run in the project folder or restore it with 'git checkout {path}'"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; restore it with 'git checkout {path}'") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise UserError(
            f"{path}: not valid YAML near line {where.line + 1 if where else '?'}; mend the syntax"
        ) from None
    return validate(raw, path)


def validate(raw: object, path: Path = PARAMS) -> Params:
    """Check a mapping against the sections; errors name ``path`` and the key."""
    if not isinstance(raw, dict):
        raise UserError(f"{path}: holds no mapping of sections; restore it with 'git checkout {path}'")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{path}: " + _explain(error)) from None


def _explain(error: ValidationError) -> str:
    """The first problem in words, and how many more there are."""
    problems = error.errors(include_url=False)
    first = problems[0]
    kinds = {*PAIR_SOURCES.names(), *PHOTO_SOURCES.names()}
    key = ".".join(str(part) for part in first["loc"] if part not in kinds)
    if first["type"] == "extra_forbidden":
        text = f"unknown key '{key}'; remove it or correct its spelling"
    elif first["type"] == "missing":
        text = f"key '{key}' is missing; add it"
    else:
        mend = "" if first["type"] == "value_error" else "; correct it"
        text = f"key '{key}': {first['msg'].removeprefix('Value error, ')}, got {first['input']!r:.80}{mend}"
    return text + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")


def resolve_path(path: str) -> Path:
    """A configured path; ``../shared/data`` follows the environment variable SIGFORGE_REALDATA where it is set."""
    default = Path("../shared/data")
    candidate = Path(path)
    if REALDATA in os.environ and candidate.is_relative_to(default):
        return Path(os.environ[REALDATA]) / candidate.relative_to(default)
    return candidate


def check_source_folders(params: Params) -> None:
    """Fail early, naming the key, if a configured folder is missing."""
    for name in ("photos", *TASKS):
        entry = getattr(params.ingest, name)
        for index, source in enumerate(entry.sources):
            for key in ("a", "b", "path", "root"):
                folder = getattr(source, key, None)
                if folder is not None and not resolve_path(folder).is_dir():
                    raise UserError(
                        f"params.yaml: key 'ingest.{name}.sources.{index}.{key}': no folder {resolve_path(folder)}; "
                        "correct the path or run 'make use CONF=demo'"
                    )
        if not resolve_path(entry.watch).exists():
            raise UserError(f"params.yaml: key 'ingest.{name}.watch': no such path {entry.watch}; correct it")


METHOD_TABLES = ("fuse.", "systems.")

Mapping = TypeVar("Mapping", bound=dict)


def overlay(base: Mapping, changes: dict, where: str = "") -> Mapping:
    """Replace leaves of a configuration, in place; lists and method tables are replaced whole.

    Args:
        base: what is changed.
        changes: nested as ``base`` is, with the leaves to replace.
        where: prefix of the keys in errors, ``fuse.vif.`` say; empty at the top.

    Returns:
        ``base`` itself.

    Raises:
        UserError: a key of ``changes`` that ``base`` does not have.

    Example:
        >>> overlay({"seed": 0, "synth": {"size": 256, "crops": 1}}, {"synth": {"size": 128}})
        {'seed': 0, 'synth': {'size': 128, 'crops': 1}}
    """
    for key, value in changes.items():
        name = f"{where}{key}"
        if key not in base:
            raise UserError(f"conf: key '{name}' is not in params.yaml; correct its spelling")
        if isinstance(value, dict) and isinstance(base[key], dict) and not where.startswith(METHOD_TABLES):
            overlay(base[key], value, f"{name}.")
        else:
            base[key] = value
    return base


def use(name: str, *, force: bool = False, path: Path = PARAMS, folder: Path = Path("conf")) -> None:
    """Lay ``conf/<name>.yaml`` over the committed params.yaml; ``demo`` is the committed file itself.

    Args:
        name: of the configuration; ``real+presets/paper-literal`` lays one over another.
        force: overwrite edits that are not committed.
        path: the file that is written.
        folder: where the configurations are.

    Raises:
        UserError: no such configuration; edits of the user's own that would be lost.
    """
    presets = [f"presets/{file.stem}" for file in sorted((folder / "presets").glob("*.yaml"))]
    names = ["demo", *sorted(file.stem for file in folder.glob("*.yaml")), *presets]
    if unknown := next((part for part in name.split("+") if part not in names), None):
        raise UserError(f"conf/{unknown}.yaml: no such configuration; choose one of {', '.join(names)}")
    committed = _committed(path)
    known = [*names, *(f"{base}+{preset}" for base in names for preset in presets)]
    if not force and path.exists() and not _is_one_of(known, path.read_text(), committed, folder):
        raise UserError(f"{path}: has edits of your own; commit them first, or pass --force to lose them")
    composed = _compose(committed, name, folder)
    validate(yaml.safe_load(composed), path)
    write_atomic(path, composed)


def _is_one_of(names: list[str], text: str, committed: str, folder: Path) -> bool:
    return any(text == _compose(committed, name, folder) for name in names)


def _compose(committed: str, name: str, folder: Path) -> str:
    parts = [part for part in name.split("+") if part != "demo"]
    if not parts:
        return committed
    editor = YAML()
    editor.width = 160
    base = editor.load(committed)
    for part in parts:
        overlay(base, editor.load((folder / f"{part}.yaml").read_text()))
    lines: list[str] = []
    editor.dump(base, _Lines(lines))
    return "".join(lines)


class _Lines:
    """A text sink for ruamel."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def write(self, text: str | bytes) -> None:
        self.lines.append(text if isinstance(text, str) else text.decode())


def _committed(path: Path) -> str:
    shown = subprocess.run(["git", "show", f"HEAD:./{path}"], capture_output=True, text=True)
    if shown.returncode:
        raise UserError(f"{path}: not in the last commit; commit it once so that configurations have a base")
    return shown.stdout


def leaves(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """(dotted key, value) of every leaf of nested mappings."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, f"{prefix}{key}.")
    else:
        yield prefix.rstrip("."), tree


def main(arguments: list[str] | None = None) -> int:
    """``use NAME`` or ``check``; exit code 2 and one line on a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m sigforge.config", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="validate params.yaml and the folders it names")
    switch = commands.add_parser("use", help="switch params.yaml to conf/NAME.yaml (or A+B) or back to demo")
    switch.add_argument("name")
    switch.add_argument("--force", action="store_true", help="lose edits of your own")
    options = parser.parse_args(arguments)
    try:
        if options.command == "use":
            use(options.name, force=options.force)
            print(f"params.yaml: {options.name}")
        else:
            check_source_folders(load_params())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
