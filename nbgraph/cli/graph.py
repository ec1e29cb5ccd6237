"""Commands on a graph itself: run, draw."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from nbgraph.cli.document import Allow, Json, Module, NoIo, Saved, load
from nbgraph.errors import NbgraphError, StepError


def run(
    graph: Saved,
    body: Annotated[str, typer.Argument(help="the event's body as JSON or text; - reads lines from standard input")],
    module: Module = None,
    allow: Allow = None,
    no_io: NoIo = False,
    as_json: Json = True,
) -> None:
    """Run one event, or one a line, and print each answer as JSON."""
    loaded = load(graph, module, allow, io=not no_io)
    if body != "-":
        print(json.dumps(loaded.run(body), default=str))
        return
    failed = 0
    for line in sys.stdin:
        try:
            print(json.dumps(loaded.run(line.rstrip("\n")), default=str), flush=True)
        except StepError as error:  # the next event is not affected
            failed += 1
            print(f"nbgraph: {error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def draw(
    graph: Saved,
    to: Annotated[
        Path | None, typer.Option("--to", help="an .svg, .png or .dot file; default: print an outline")
    ] = None,
    module: Module = None,
    allow: Allow = None,
    no_io: NoIo = False,
    as_json: Json = False,
) -> None:
    """Draw a graph."""
    loaded = load(graph, module, allow, io=not no_io)
    if to is None:
        from nbgraph.render.text import outline

        print(json.dumps(loaded.to_dict()) if as_json else outline(loaded))
        return
    if to.suffix == ".png":
        to.write_bytes(loaded.png())
    elif to.suffix in (".svg", ".dot"):
        to.write_text(loaded.svg() if to.suffix == ".svg" else loaded.dot().source, encoding="utf-8")
    else:
        raise NbgraphError(f"{to} ends in {to.suffix or 'nothing'}; expected .svg, .png or .dot.")
    if as_json:
        print(json.dumps({"file": str(to)}))
