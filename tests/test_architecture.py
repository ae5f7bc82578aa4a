"""The rules of the house that a reader relies on: who imports whom, and that dvc.yaml names what stages depend on."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SHARED_BY_STAGES = ("__init__", "base", "photographs", "trained")
STAGES = [path.stem for path in (ROOT / "components/stages").glob("*.py") if path.stem not in SHARED_BY_STAGES]

# Plumbing: changes here cannot change what a stage computes, only how it is started, logged, checked or written.
PLUMBING = {
    "components",
    "components.cli",
    "components.config",
    "components.device",
    "components.errors",
    "components.files",
    "components.manifest",
    "components.params",
    "components.progress",
    "components.runner",
    "components.seeds",
    "components.stages",
    "components.stages.base",
    "components.stages.trained",
    "components.storage",
    "components.tracking",
}


def path_of(module: str) -> Path | None:
    base = ROOT / module.replace(".", "/")
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.exists():
            return path
    return None


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


def modules(package: str) -> list[str]:
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def closure(module: str, stop: set[str]) -> set[str]:
    seen, pending = set(), [module]
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        inside = {name for name in imports(current) if name.startswith("components") and path_of(name)}
        pending += [name for name in inside if name not in stop]
    return seen


def stage_entries():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: entry.get("do", entry) for name, entry in stages.items()}


@pytest.mark.parametrize("module", modules("components"))
def test_the_library_does_not_know_its_orchestrators(module):
    top = {name.split(".")[0] for name in imports(module)}
    forbidden = {"prefect", "dvc", "flows"} | (set() if module == "components.tracking" else {"mlflow"})
    assert not top & forbidden


@pytest.mark.parametrize("module", modules("components"))
def test_only_stages_are_wired_to_ledger_and_parameters(module):
    if module.startswith(("components.stages", "components.cli", "components.tracking", "components.config")):
        return
    names = imports(module)
    assert not any(name.startswith(("components.tracking", "components.config", "components.stages")) for name in names)


@pytest.mark.parametrize("module", modules("flows"))
def test_flows_run_targets_not_stage_code(module):
    assert not any(name.startswith("components.stages") for name in imports(module))


def test_one_name_means_one_thing_everywhere():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    entries = stage_entries()
    assert set(entries) == set(STAGES)
    for name, entry in entries.items():
        assert name in params
        assert entry["cmd"].startswith(f"python -m components.stages.{name}")
        outs = [next(iter(out)) if isinstance(out, dict) else out for out in entry["outs"]]
        assert all(out.startswith(f"data/{name}") for out in outs)
        assert len(entry["desc"]) > 20


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_deps_cover_the_import_graph(stage):
    watched = yaml.safe_load((ROOT / "params.yaml").read_text())["ingest"]["vif"]["watch"]
    deps = {dep.replace("${item.watch}", watched) for dep in stage_entries()[stage]["deps"]}
    needed = closure(f"components.stages.{stage}", PLUMBING)
    files = {path_of(module).relative_to(ROOT).as_posix() for module in needed - PLUMBING}
    missing = {file for file in files if not any(file == dep or file.startswith(f"{dep}/") for dep in deps)}
    missing = {file for file in missing if not (file.endswith("__init__.py") and not (ROOT / file).read_text().strip())}
    assert missing == set()


def test_no_function_is_long():
    long = []
    for module in modules("components") + modules("flows"):
        for node in ast.walk(ast.parse(path_of(module).read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno > 60:
                long.append(f"{module}.{node.name}")
    assert long == []
