"""Which files decide what a fusion method computes.

The fused corpus fingerprints a method by the bytes of these files, so that only a changed method is fused again.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from importlib.util import resolve_name
from pathlib import Path

from components.baselines.registry import get_method

# They hand images to methods but change none of them; counting them would fuse every corpus again for a new docstring.
_PLUMBING = {"__init__.py", "provenance.py", "registry.py"}


def method_sources(name: str) -> list[Path]:
    """Source files of a method: its module and every module of the same package it imports, directly or not.

    Args:
        name: a registered method.

    Returns:
        Absolute paths, sorted.

    Raises:
        UserError: there is no such method.

    Example:
        >>> [path.name for path in method_sources("laplacian")]
        ['filters.py', 'laplacian.py', 'pyramid.py', 'rules.py']
    """
    return code_of(get_method(name).function)


def code_of(function: Callable) -> list[Path]:
    """The same of any function or class, also one wrapped in ``functools.partial``."""
    module = inspect.getmodule(getattr(function, "func", function))
    pending, found = [Path(module.__file__).resolve()], set()
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            pending += _imported_files(path, module.__package__)
    return sorted(found)


def _imported_files(path: Path, package: str) -> Iterator[Path]:
    """Modules beside ``path`` that it imports, whichever way the import is written."""
    for name in _imported_names(ast.parse(path.read_bytes()), package):
        file = path.parent / f"{name.removeprefix(f'{package}.').partition('.')[0]}.py"
        if name.startswith(f"{package}.") and file.is_file() and file.name not in _PLUMBING:
            yield file


def _imported_names(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{origin}.{alias.name}" for alias in node.names)
