"""The saved graph that a command is about: its arguments on the command line, and how it is loaded."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph

Saved = Annotated[Path, typer.Argument(help="a saved graph (.yaml, .json), or a folder that export wrote")]
Module = Annotated[
    Path | None, typer.Option("--module", help="the Python file that defines the handlers; default: handlers.py beside")
]
Allow = Annotated[
    list[str] | None, typer.Option(help="a module that the graph may take handlers from, as json; one for each")
]
NoIo = Annotated[
    bool, typer.Option("--no-io", help="refuse steps that work with files, networks, databases or model files")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


def load(path: Path, module: Path | None = None, allow: Sequence[str] | None = None, *, io: bool = True) -> Graph:
    """The graph of a file or a project's folder, its names bound in the Python file beside it."""
    if path.is_dir():
        if not io:
            raise NbgraphError(f"{path} is a project, whose own Python runs; --no-io goes with a saved graph.")
        from nbgraph.serve.project import load_project

        return load_project(path)
    module = module or path.with_name("handlers.py")
    if allow:
        sys.path.insert(0, str(path.parent.absolute()))  # modules that lie beside the graph
    return Graph.load(path, namespace=names_in(module) if module.is_file() else {}, allow=allow or (), io=io)


def names_in(module: Path) -> dict[str, Any]:
    """Everything that a Python file defines, by name."""
    found = importlib.util.spec_from_file_location(module.stem, module)
    if found is None or found.loader is None:
        raise NbgraphError(f"{module} is not a Python file.")
    loaded = importlib.util.module_from_spec(found)
    found.loader.exec_module(loaded)
    return vars(loaded)
