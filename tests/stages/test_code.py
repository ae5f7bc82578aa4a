"""What a training stage names as its code is what it runs, and DVC watches it."""

import ast
import importlib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "components"
ELSEWHERE = {
    *("config", "corpus", "device", "errors", "files", "manifest", "params", "progress", "seeds", "storage", "subsets"),
    *("models", "models/weights", "shards/tar", "shards/writer", "stages/base", "stages/trained", "tracking"),
}
"""They say what is computed from what, and where it goes; what is computed does not change with them."""


def imported(name):
    path = PACKAGE / f"{name}.py" if name else PACKAGE / "__init__.py"
    tree = ast.parse((path if path.exists() else PACKAGE / name / "__init__.py").read_text())
    inside = {
        id(node) for item in ast.walk(tree) if isinstance(item, ast.FunctionDef | ast.If) for node in ast.walk(item)
    }
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and id(n) not in inside]
    return {node.module.removeprefix("components.").replace(".", "/") for node in nodes if "components." in node.module}


def reached(name):
    """All modules that a module imports, and those that these import, unless they are :data:`ELSEWHERE`."""
    found, pending = set(), [name]
    while pending:
        new = imported(pending.pop()) - found - ELSEWHERE
        found |= new
        pending += sorted(new)
    return found


def under(name, places):
    return any(name == place or name.startswith(f"{place}/") for place in places)


@pytest.mark.parametrize("stage", ["pretrain", "plgn", "pretext", "finetune"])
def test_the_code_of_a_stage_is_named_whole_and_watched(stage):
    code = importlib.import_module(f"components.stages.{stage}").CODE
    assert {name for name in reached(f"stages/{stage}") if not under(name, code)} == set()
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    watched = [dep.removeprefix("components/").removesuffix(".py") for dep in deps]
    assert {name for name in code if not under(name, watched)} == set()
