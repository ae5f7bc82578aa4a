"""The rules of the house that a reader relies on: who imports whom, and that dvc.yaml names what stages depend on."""

import ast
import re
from collections.abc import Iterable
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from sigforge import methods
from sigforge.core.provenance import closure, files_of, module_of
from sigforge.dataset.sources.registry import PAIR_SOURCES, PHOTO_SOURCES
from sigforge.methods.registry import METHODS
from sigforge.methods.systems.registry import SYSTEMS
from sigforge.methods.trained import TrainedMethod
from sigforge.metrics.registry import METRICS

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "components/sigforge"
STAGES = [path.stem for path in (LIBRARY / "stages").glob("*.py") if not path.stem.startswith("_")]
FOUND_BY_NAME = {
    "ingest": "dataset/sources",
    "fuse": "methods",
    "systems": "methods/systems",
    "transfer": "methods/systems",
    "evaluate": "methods",
}
"""Room of what a stage finds in a registry, which no import shows."""
TRAININGS = [module_of(system.trainings) for system in SYSTEMS.entries()]
FOUND_MODULES = {
    "ingest": [module_of(kind.find) for kind in (*PAIR_SOURCES.entries(), *PHOTO_SOURCES.entries())],
    "fuse": [method.module for method in METHODS.entries() if not isinstance(method, TrainedMethod)],
    "systems": TRAININGS,
    "transfer": TRAININGS,
    "evaluate": [entry.module for entry in (*METHODS.of(TrainedMethod), *METRICS.entries())],
}
"""The modules themselves."""
DOORS = ("sigforge.stages", "sigforge.cli", "sigforge.tracking", "sigforge.config", "sigforge.report")
NUMERICS = ("sigforge.core", "sigforge.signal", "sigforge.metrics", "sigforge.losses", "sigforge.shards")


def path_of(module: str) -> Path:
    base = ROOT / (module.replace(".", "/") if module.startswith("flows") else f"components/{module.replace('.', '/')}")
    return base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of this project and top-level names of others that a module imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return frozenset(found)


def modules(folder: Path, root: Path) -> list[str]:
    return [
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(folder.rglob("*.py"))
    ]


SIGFORGE = modules(LIBRARY, ROOT / "components")
FLOWS = modules(ROOT / "flows", ROOT)


def stage_entries():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: entry.get("do", entry) for name, entry in stages.items()}


@pytest.mark.parametrize("module", SIGFORGE)
def test_the_library_does_not_know_its_orchestrators(module):
    top = {name.split(".")[0] for name in imports(module)}
    forbidden = {"prefect", "dvc", "flows"} | (set() if module == "sigforge.tracking" else {"mlflow"})
    assert not top & forbidden


@pytest.mark.parametrize("module", SIGFORGE)
def test_only_stages_are_wired_to_ledger_and_parameters(module):
    if not module.startswith(DOORS):
        assert not any(
            name.startswith(("sigforge.tracking", "sigforge.config", "sigforge.stages")) for name in imports(module)
        )


@pytest.mark.parametrize("module", [name for name in SIGFORGE if name.startswith(NUMERICS)])
def test_the_ground_floor_stands_on_itself(module):
    """What others build on knows no method, no training and no stage."""
    upper = {name for name in imports(module) if name.startswith("sigforge.")}
    assert not {
        name for name in upper if name.split(".")[1] in ("methods", "training", "synthesis", "evaluation", "report")
    }


@pytest.mark.parametrize("module", SIGFORGE)
def test_names_are_imported_from_where_they_are_made(module):
    """``sigforge.methods`` finds names for users only when asked, so an import from it would hide what decides a result."""
    assert not {f"sigforge.methods.{name}" for name in methods.__all__} & imports(module)


@pytest.mark.parametrize("module", FLOWS)
def test_flows_run_targets_not_stage_code(module):
    assert not any(name.startswith("sigforge.stages") for name in imports(module))


def test_one_name_means_one_thing_everywhere():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    entries = stage_entries()
    assert set(entries) == set(STAGES)
    for name, entry in entries.items():
        assert name in params
        assert entry["cmd"].startswith(f"python -m sigforge.stages.{name}")
        outs = [next(iter(out)) if isinstance(out, dict) else out for out in entry["outs"]]
        assert all(out.startswith(f"data/{name}") for out in outs)
        assert len(entry["desc"]) > 20


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_deps_are_the_code_that_decides_the_result(stage):
    watched = yaml.safe_load((ROOT / "params.yaml").read_text())["ingest"]["vif"]["watch"]
    deps = {dep.replace("${item.watch}", watched) for dep in stage_entries()[stage]["deps"]}
    code = {dep for dep in deps if dep.startswith("components/")}
    needed = [
        path
        for path in files_of(closure(f"sigforge.stages.{stage}", *own(FOUND_MODULES.get(stage, ()))))
        if says_something(path)
    ]
    files = {path.relative_to(ROOT).as_posix() for path in needed}
    if stage in FOUND_BY_NAME:
        files.add(f"components/sigforge/{FOUND_BY_NAME[stage]}/by_name.py")
    assert {file for file in files if not any(file == dep or file.startswith(f"{dep}/") for dep in code)} == set()
    idle = {dep for dep in code - {watched} if not any(file == dep or file.startswith(f"{dep}/") for file in files)}
    assert idle == set()


def own(names: Iterable[str]) -> list[str]:
    """Without those of packages that somebody has installed beside this one."""
    return [name for name in names if name.startswith("sigforge.")]


def says_something(path: Path) -> bool:
    """Whether a file is more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_bytes()).body)


def test_no_function_and_no_file_is_long():
    long = []
    for module in SIGFORGE + FLOWS:
        text = path_of(module).read_text()
        long += [module] if text.count("\n") > 400 else []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and code_lines(node) > 60:
                long.append(f"{module}.{node.name}")
    assert long == []


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    text = node.body[0] if ast.get_docstring(node) else None
    return node.end_lineno - node.lineno - (text.end_lineno - text.lineno + 1 if text else 0)


def test_no_two_public_classes_have_one_name():
    """A class is found by its name alone: a noun and its kind, as CorpusRecipe beside SynthesisRecipe."""
    homes = {}
    for module in SIGFORGE + FLOWS:
        for node in ast.parse(path_of(module).read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def public_functions(module: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions and methods that others may call, without those whose parameters Typer shows with their help."""
    found, pending = [], list(ast.parse(path_of(module).read_text()).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            pending += node.body
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            found.append(node)
    return [node for node in found if not any("app.command" in ast.unparse(part) for part in node.decorator_list)]


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = node.args
    given = arguments.posonlyargs + arguments.args + arguments.kwonlyargs + [arguments.vararg, arguments.kwarg]
    return {part.arg for part in given if part} - {"self", "cls"}


def documented(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names that stand under ``Args`` of a docstring."""
    section = (ast.get_docstring(node) or "").partition("\nArgs:\n")[2]
    lines = takewhile(lambda line: line.startswith("    "), section.splitlines())
    entries = [line.partition(":")[0] for line in lines if not line.startswith("     ")]
    return {name.strip(" *") for entry in entries for name in entry.split(",")}


@pytest.mark.parametrize("module", SIGFORGE + FLOWS)
def test_who_takes_much_says_what_it_takes(module):
    """Every public function with three or more parameters documents all, and no docstring names what is not there."""
    functions = public_functions(module)
    assert [n.name for n in functions if len(parameters(n)) > 2 and parameters(n) - documented(n)] == []
    assert [(node.name, gone) for node in functions if (gone := documented(node) - parameters(node))] == []


STOREYS = (
    ("core",),
    ("dataset", "signal", "metrics", "losses", "shards"),
    ("methods", "training", "models"),
    ("synthesis", "evaluation", "release"),
    ("report", "config", "cli", "stages", "tracking"),
)
"""As docs/architecture.md draws them, the lowest first."""


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "core"


@pytest.mark.parametrize("module", SIGFORGE)
def test_imports_lead_downwards(module):
    storey = {room: number for number, rooms in enumerate(STOREYS) for room in rooms}
    known = {name for name in imports(module) if name.startswith("sigforge.") and room_of(name) in storey}
    assert {name for name in known if storey[room_of(name)] > storey[room_of(module)]} == set()


def test_the_drawn_rooms_are_those_that_are_there():
    page = (ROOT / "docs/architecture.md").read_text()
    drawn = set(re.findall(r"^ +(\w+)/ ", page, re.MULTILINE))
    folders = {path.parent for path in LIBRARY.rglob("*.py")} - {LIBRARY}
    rooms = {path.name for path in folders if len(path.relative_to(LIBRARY).parts) == 1}
    assert rooms <= drawn and drawn <= {path.name for path in folders}
    assert rooms | {"models", "tracking"} == {room for storey in STOREYS for room in storey}


TWINS = {"main", "run", "render", "load", "score", "verify"} | {
    "analyse",
    "filter_bank",
    "multi_modal",
    "renamed",
    "single_modal",
    "synthesise",
}
"""Functions of one meaning in several modules: stages and simulators, commands and what they call, a method's forms."""


def test_no_two_public_functions_of_different_meaning_have_one_name():
    homes = {}
    for module in SIGFORGE:
        for node in ast.parse(path_of(module).read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name not in TWINS:
                homes.setdefault(node.name, []).append(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
