"""What a command prints: tables on a terminal, or whole in a pipe; names as they are, whatever they hold."""

import sys

from rich.console import Console, RenderableType
from rich.text import Text

from sigforge.core.escape import escape_terminal

PIPE_WIDTH = 1000


def show(table: RenderableType) -> None:
    """Print a table to stdout; outside a terminal no cell is wrapped or cut."""
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def named(text: str) -> Text:
    """A name for a cell of a table, in which rich looks for no markup.

    Example:
        >>> named("run [ours]").plain
        'run [ours]'
    """
    return Text(escape_terminal(text))


def say(text: str) -> None:
    """Print lines that hold names to stdout."""
    print("\n".join(map(escape_terminal, text.split("\n"))))
