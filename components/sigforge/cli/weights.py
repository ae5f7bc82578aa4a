"""``sigforge weights``: published checkpoints, converted once and kept outside the repository."""

from pathlib import Path

from rich.table import Table

from sigforge.cli.console import say, show
from sigforge.methods.published.checkpoints import import_checkpoint, weights_file
from sigforge.methods.published.method import list_weights, methods_using


def import_weights(file: Path, name: str | None) -> int:
    """Convert a published checkpoint and say which methods fuse with it.

    Raises:
        UserError: the file is none of the published checkpoints, or not the one that ``name`` says.
    """
    weights, target = import_checkpoint(file, name)
    uses = [(method.name, task) for method in methods_using(weights) for task in method.tasks_of(weights)]
    methods = ", ".join(dict.fromkeys(method for method, _ in uses))
    tasks = ", ".join(dict.fromkeys(task for _, task in uses))
    say(f"{target}: {weights.name} from {weights.repository} (licence: {weights.licence}); for {methods} on {tasks}")
    return 0


def show_weights() -> int:
    """List every published checkpoint: who fuses with it, whether it is here, where it is had, on which terms."""
    table = Table("weights", "methods", "imported", "licence", "published at")
    for weights in list_weights():
        methods = " ".join(method.name for method in methods_using(weights))
        here = "yes" if weights_file(weights).is_file() else "no"
        table.add_row(weights.name, methods, here, weights.licence, weights.url)
    show(table)
    return 0
