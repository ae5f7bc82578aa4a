"""``sigforge methods``."""

from rich.table import Table

from components.cli.console import show
from components.models import get_method, list_methods


def show_methods(task: str | None) -> int:
    """Print all methods, or those of a task."""
    table = Table("method", "tasks", "kind", "paper", "options")
    for name in list_methods(task):
        method = get_method(name)
        paper = f"{method.paper} {method.year or ''}".strip()
        options = " ".join(f"{key}={value}" for key, value in method.defaults.items())
        table.add_row(name, " ".join(method.tasks), method.kind, paper, options)
    show(table)
    return 0
