"""The command line."""

from nbgraph.cli.command_line import app, main
from nbgraph.cli.document import load

__all__ = ["app", "load", "main"]
