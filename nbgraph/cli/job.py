"""The command that runs a graph over a data set: job."""

from __future__ import annotations

import json
import signal
import sys
from typing import Annotated

import typer

from nbgraph.cli.document import Allow, Json, Module, NoIo, Saved, load


def job(
    graph: Saved,
    source: Annotated[str, typer.Argument(help="Parquet (a file or a folder), .csv or .jsonl; may hold *")],
    target: Annotated[
        str | None, typer.Argument(help="a folder for Parquet, .csv or .jsonl; default: the graph's own targets")
    ] = None,
    key: Annotated[str | None, typer.Option(help="the field that steps which remember go by")] = None,
    engine: Annotated[str, typer.Option(help="process, thread or dask://HOST:PORT")] = "process",
    workers: Annotated[int | None, typer.Option(help="parts at once; default: the number of cores")] = None,
    part_rows: Annotated[int, typer.Option(help="rows of a part")] = 100_000,
    max_failures: Annotated[str | None, typer.Option(help="rows that may fail: a number, or a share as 1%")] = None,
    resume: Annotated[bool, typer.Option(help="run only what is missing, or start anew")] = True,
    name: Annotated[str | None, typer.Option(help="what it is known by; default: the graph's name")] = None,
    module: Module = None,
    allow: Allow = None,
    no_io: NoIo = False,
    as_json: Json = False,
) -> None:
    """Run a graph over a data set, in parts; the same command goes on with one that was interrupted.

    Status 0: done; 1: failed; 3: done, and some rows failed; 130: interrupted.
    """
    allowed = int(max_failures) if max_failures is not None and max_failures.isdigit() else max_failures
    begun = load(graph, module, allow, io=not no_io).job(
        source, target, key=key, engine=engine, workers=workers, part_rows=part_rows, max_failures=allowed,
        resume=resume, name=name, progress=not as_json,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        begun.wait()
    except KeyboardInterrupt:
        print(f"nbgraph: stopped, {begun.done} parts are done; the same command goes on.", file=sys.stderr)
        raise typer.Exit(130) from None
    told = {"name": begun.name, "state": begun.state, "folder": str(begun.folder), "parts": begun.done,
            "rows": begun.rows, "written": begun.written, "failed": begun.failed}  # fmt: skip
    print(json.dumps(told) if as_json else f"{begun.rows:,} rows, {begun.written:,} written, {begun.failed:,} failed")
    for failure in [] if as_json else begun.failures(3):
        print(f'nbgraph: row {failure.row}, step "{failure.step}": {failure.error}', file=sys.stderr)
    if begun.failed:
        raise typer.Exit(3)
