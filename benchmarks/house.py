"""How the house stands: files, length of functions, public functions without ``Args``, lint and type errors.

``python benchmarks/house.py [COMMIT ...]`` prints a column of the table in docs/architecture.md for each commit, or for
the files as they lie here where none is named. A commit is looked at in a temporary folder. Lint and types are those of
this checkout's pyproject.toml, so all columns are measured by one rule.
"""

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ("components", "flows")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commits", nargs="*", help="to be measured beside each other")
    columns = {commit: at_commit(commit) for commit in parser.parse_args().commits} or {"here": facts(ROOT)}
    print(f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for name in next(iter(columns.values())):
        print(f"| {name} | {' | '.join(column[name] for column in columns.values())} |")


def at_commit(commit: str) -> dict[str, str]:
    """:func:`facts` of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit, *CODE], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        return facts(Path(folder))


def facts(root: Path) -> dict[str, str]:
    """The rows of the table for the code below a folder."""
    files = [path for name in CODE for path in sorted((root / name).rglob("*.py"))]
    trees = [ast.parse(path.read_bytes()) for path in files]
    lines = [path.read_text().count("\n") for path in files]
    bodies = sorted(body_lines(node) for tree in trees for node in ast.walk(tree) if isinstance(node, Function))
    wide = [node for tree in trees for node in public_functions(tree) if len(parameters(node)) > 2]
    silent = [node for node in wide if "Args:" not in (ast.get_docstring(node) or "")]
    return {
        "files": f"{len(files)}",
        "lines of a file: median, p90, max": spread(sorted(lines)),
        "lines of a function's body: median, p90, max": spread(bodies),
        "public functions with three or more parameters": f"{len(wide)}",
        "of these without `Args`": f"{len(silent)}",
        "lint errors (ruff)": lint_errors(root),
        "type errors (mypy)": type_errors(root),
    }


def spread(values: list[int]) -> str:
    """Median, 90th percentile and maximum of sorted numbers.

    Example:
        >>> spread([1, 2, 3, 4, 100])
        '3, 100, 100'
    """
    return f"{statistics.median(values):g}, {values[int(0.9 * len(values))]}, {values[-1]}"


def body_lines(node: Function) -> int:
    """Lines of a function below its signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def public_functions(tree: ast.Module) -> Iterator[Function]:
    """Functions and methods without a leading underscore, also of their class; commands of Typer have help instead."""
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            pending += node.body
        elif isinstance(node, Function) and not node.name.startswith("_"):
            if not any("app.command" in ast.unparse(part) for part in node.decorator_list):
                yield node


def parameters(node: Function) -> list[ast.arg]:
    """All of a function, but for ``self`` and ``cls``."""
    given = node.args
    every = given.posonlyargs + given.args + given.kwonlyargs + [given.vararg, given.kwarg]
    return [part for part in every if part and part.arg not in ("self", "cls")]


def lint_errors(root: Path) -> str:
    """What ruff finds by this checkout's rules, which are laid beside the code; a dash where it is not installed."""
    rules = root / "pyproject.toml"
    if not rules.exists():
        rules.write_text((ROOT / "pyproject.toml").read_text())
    command = ["ruff", "check", "--no-cache", "--output-format", "concise", *CODE]
    found = run(command, folder=root)
    return "–" if found is None else str(sum(line.startswith(CODE) for line in found))


def type_errors(root: Path) -> str:
    """What mypy finds by this checkout's rules, in the package's old place or its new one; a dash without mypy."""
    package, base = root / "components/sigforge", root / "components"
    if not package.is_dir():
        package, base = root / "components", root
    rules = (ROOT / "pyproject.toml").read_text().replace("sigforge.", f"{package.name}.")
    rules = "\n".join(line for line in rules.splitlines() if not line.startswith(("packages =", "mypy_path =")))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "pyproject.toml")
        config.write_text(rules)
        command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--explicit-package-bases"]
        where = {**os.environ, "MYPYPATH": str(base)}
        found = run([*command, "--cache-dir", "/dev/null", str(package)], env=where)
    return "–" if found is None else str(sum(": error:" in line for line in found))


def run(command: list[str], *, env: Mapping[str, str] | None = None, folder: Path | None = None) -> list[str] | None:
    """Lines that a checker prints; None if it is not there.

    Args:
        command: program and arguments.
        env: its environment; that of this process if left out.
        folder: where it runs; here if left out.
    """
    try:
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return None if "No module named mypy" in done.stderr else done.stdout.splitlines()


if __name__ == "__main__":
    main()
