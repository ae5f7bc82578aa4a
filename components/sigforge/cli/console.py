"""Tables on a terminal, or whole in a pipe."""

import sys

from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 1000


def show(table: Table) -> None:
    """Print a table to stdout; outside a terminal no cell is wrapped or cut."""
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
