"""Which code decides a result: the modules that a module imports, directly or not, and a hash of their source.

Everything that asks this question asks here: the keys of resumable stages, the fingerprints of fused corpora, and the
test that compares ``deps`` of ``dvc.yaml`` with the imports. Comments and docstrings decide nothing and do not count.
"""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path

PACKAGE = "sigforge"
ROOT = Path(__file__).parents[1]
PLUMBING = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        "config",
        "core.errors",
        "core.files",
        "core.parquet",
        "core.progress",
        "core.provenance",
        "core.registry",
        "core.storage",
        "stages._base",
        "tracking",
    )
)
"""Modules and packages that cannot change a result: how it is asked for, written, checked and logged."""
FRONTS = frozenset({f"{PACKAGE}.methods"})
"""Packages whose ``__init__`` only finds names for users; the modules in them decide results like any other."""


def closure(*modules: str) -> tuple[str, ...]:
    """Modules that ``modules`` import, lazily or not, themselves included; without plumbing.

    Followed are this package and those that ``modules`` themselves lie in, so a method that somebody else has installed
    brings its helpers along. Imports under ``if TYPE_CHECKING`` do not count.

    Args:
        modules: dotted names, ``sigforge.signal.ewt``.

    Returns:
        Dotted names, sorted.

    Raises:
        ValueError: no source is found for a name.

    Example:
        >>> closure("sigforge.core.seeds")
        ('sigforge.core.seeds',)
        >>> "sigforge.signal.boundaries" in closure("sigforge.signal.ewt")
        True
    """
    packages = {PACKAGE, *(name.partition(".")[0] for name in modules)}
    for name in modules:
        if _path_of(name) is None:
            raise ValueError(f"{name}: no module whose source can be read")
    pending, seen = [(name, True) for name in modules], set()
    while pending:
        name, whole = pending.pop()
        if (name, whole) not in seen and not is_plumbing(name):
            seen.add((name, whole))
            pending += (found for found in _imported(name, whole) if found[0].partition(".")[0] in packages)
    return tuple(sorted({name for name, _ in seen}))


def code_hash(*modules: str) -> str:
    """Hex sha256 of the code of :func:`closure`; a changed comment or docstring leaves it as it is.

    Example:
        >>> code_hash("sigforge.signal.ewt") == code_hash("sigforge.signal.ewt") != code_hash("sigforge.signal.dwt")
        True
    """
    digest = hashlib.sha256()
    for name in closure(*modules):
        digest.update(f"{name}\x1f{_code(_path_of(name))}\x1f".encode())
    return digest.hexdigest()


def module_of(function: Callable[..., object]) -> str:
    """Dotted name of the module that defines a function or class, also one wrapped in ``functools.partial``."""
    module: str = getattr(function, "func", function).__module__
    return module


def files_of(modules: Iterable[str]) -> tuple[Path, ...]:
    """Absolute paths of the source of modules."""
    return tuple(path for name in modules if (path := _path_of(name)) is not None)


def is_plumbing(name: str) -> bool:
    """Whether a module cannot change a result, itself or the package that it lies in."""
    return name in FRONTS or any(name == part or name.startswith(f"{part}.") for part in PLUMBING)


@cache
def _path_of(name: str) -> Path | None:
    top, *rest = name.split(".")
    if top != PACKAGE:
        return _foreign_path(name)
    base = ROOT.joinpath(*rest)
    found = (path for path in (base.parent / f"{base.name}.py", base / "__init__.py") if path.is_file())
    return next(found, None)


def _foreign_path(name: str) -> Path | None:
    """Source of a module that is loaded, or that lies in a package which is; nothing is imported for it."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
        return Path(file) if file and file.endswith(".py") else None
    parent = name.rpartition(".")[0]
    spec = find_spec(name) if parent in sys.modules and hasattr(sys.modules[parent], "__path__") else None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@cache
def _imported(name: str, whole: bool) -> frozenset[tuple[str, bool]]:
    """Modules that one module imports and whose source is there, and whether their functions are reached.

    Of a package on the way to a module only the ``__init__`` runs: what its functions import stays out.
    """
    path = _path_of(name)
    if path is None:
        return frozenset()
    home = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tops = {PACKAGE, name.partition(".")[0]}
    found = set()
    for imported in _import_names(ast.parse(path.read_bytes()), home, whole):
        if imported.partition(".")[0] in tops:
            *parents, module = [part for part in _with_parents(imported) if _path_of(part)] or [PACKAGE]
            found |= {(module, True), *((parent, False) for parent in parents)}
    return frozenset(found - {(PACKAGE, True), (PACKAGE, False)})


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _import_names(tree: ast.AST, home: str, whole: bool) -> Iterator[str]:
    """Full names of what the code below a node imports.

    Args:
        home: package that relative names start from.
        whole: look into functions, too.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not whole and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), home) if node.level else node.module
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        else:
            yield from _import_names(node, home, whole)


@cache
def _code(path: Path) -> str:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
