"""The command ``sigforge``: :mod:`sigforge.cli.app` has its subcommands, a module each does the work."""

from sigforge.cli.app import main as main
