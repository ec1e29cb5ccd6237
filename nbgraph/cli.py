"""The command line: run, draw, export, deploy and look after a saved graph, with the words of the notebook."""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nbgraph.errors import NbgraphError
from nbgraph.event import decode
from nbgraph.graph.graph import Graph

if TYPE_CHECKING:
    from nbgraph.deploy.deployment import Deployment

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Run, draw, export and deploy saved graphs.")
Saved = Annotated[Path, typer.Argument(help="a saved graph (.yaml, .json), or a folder that export wrote")]
Module = Annotated[
    Path | None, typer.Option("--module", help="the Python file that defines the handlers; default: handlers.py beside")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Name = Annotated[str, typer.Argument(help="a deployment's name, or its graph's")]


@app.command()
def run(
    graph: Saved,
    body: Annotated[str, typer.Argument(help="the event's body as JSON or text; - reads lines from standard input")],
    module: Module = None,
) -> None:
    """Run one event, or one a line, and print each answer as JSON."""
    loaded = load(graph, module)
    bodies = (line.rstrip("\n") for line in sys.stdin) if body == "-" else [body]
    for one in bodies:
        print(json.dumps(loaded.run(decode(one)), default=str))


@app.command()
def draw(
    graph: Saved,
    to: Annotated[
        Path | None, typer.Option("--to", help="an .svg, .png or .dot file; default: print an outline")
    ] = None,
    module: Module = None,
) -> None:
    """Draw a graph."""
    loaded = load(graph, module)
    if to is None:
        from nbgraph.render.text import outline

        print(outline(loaded))
        return
    if to.suffix == ".png":
        to.write_bytes(loaded.png())
    elif to.suffix in (".svg", ".dot"):
        to.write_text(loaded.svg() if to.suffix == ".svg" else loaded.dot().source, encoding="utf-8")
    else:
        raise NbgraphError(f"{to} ends in {to.suffix or 'nothing'}; expected .svg, .png or .dot.")


@app.command()
def export(
    graph: Saved,
    folder: Annotated[Path, typer.Argument(help="where the project is written")],
    target: Annotated[str, typer.Option(help="compose, swarm, kubernetes or nuclio")] = "compose",
    replicas: Annotated[list[str] | None, typer.Option(help="FUNCTION=NUMBER; one for each function")] = None,
    registry: Annotated[str | None, typer.Option(help="where the images are pushed to and pulled from")] = None,
    module: Module = None,
    as_json: Json = False,
) -> None:
    """Write a graph as a project that builds and runs by itself."""
    wanted = dict(map(_counted, replicas or ()))
    written = load(graph, module).export(folder, target, replicas=wanted or None, registry=registry)
    told = {"folder": str(written.folder), "files": dict(written.files), "digest": written.digest}
    print(json.dumps(told) if as_json else written)


@app.command()
def deploy(
    graph: Saved,
    target: Annotated[str, typer.Option(help="process, docker or swarm")] = "docker",
    name: Annotated[str | None, typer.Option(help="what runs under it goes on with this graph")] = None,
    port: Annotated[int | None, typer.Option(help="a free one if left out")] = None,
    host: Annotated[str, typer.Option(help="others than this machine need a key: --key-file")] = "127.0.0.1",
    key_file: Annotated[Path | None, typer.Option(help="a file with the API key of callers")] = None,
    replicas: Annotated[list[str] | None, typer.Option(help="FUNCTION=NUMBER; one for each function")] = None,
    module: Module = None,
    as_json: Json = False,
) -> None:
    """Host a graph; processes live as long as this command, containers on their own."""
    key = key_file.read_text().strip() if key_file is not None else None
    wanted = dict(map(_counted, replicas or ()))
    deployment = load(graph, module).deploy(
        target, name=name, port=port, host=host, api_key=key, replicas=wanted or None, progress=not as_json
    )
    told = {"name": deployment.name, "url": deployment.url, "functions": deployment.functions}
    print(json.dumps(told) if as_json else f"{deployment.name} answers at {deployment.url}", flush=True)
    if target == "process":
        _stay(deployment)


@app.command()
def status(name: Name, as_json: Json = False) -> None:
    """The replicas of a deployment."""
    frame = _attached(name).status()
    print(frame.to_json(orient="records", date_format="iso") if as_json else frame.to_string(index=False))


@app.command()
def logs(
    name: Name,
    function: Annotated[str | None, typer.Option(help="one function's only")] = None,
    lines: Annotated[int, typer.Option(help="the last ones of each worker")] = 100,
    as_json: Json = False,
) -> None:
    """What the workers logged and the steps printed."""
    text = _attached(name).logs(function, lines)
    print(json.dumps(text.splitlines()) if as_json else text)


@app.command()
def scale(name: Name, function: str, replicas: int) -> None:
    """Run that many replicas of a function."""
    _attached(name).scale(function, replicas)


@app.command()
def stop(name: Name) -> None:
    """End a deployment; events in flight are finished first."""
    _attached(name).stop()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(context: typer.Context, folder: Path) -> None:
    """Serve an exported project here, as its container would; options as of `python -m nbgraph.serve`."""
    from nbgraph.serve.__main__ import main as serving

    raise typer.Exit(serving(["--project", str(folder), *context.args]))


def _stay(deployment: Deployment) -> None:
    """Return when the deployment is stopped: by Ctrl-C, SIGTERM, or `nbgraph stop` elsewhere."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    while not (asked.wait(0.2) or deployment.is_stopped):
        pass
    deployment.stop()


def load(path: Path, module: Path | None = None) -> Graph:
    """The graph of a file or a project's folder, its names bound in the Python file beside it."""
    if path.is_dir():
        from nbgraph.serve.project import load_project

        return load_project(path)
    module = module or path.with_name("handlers.py")
    return Graph.load(path, namespace=_names(module) if module.is_file() else {})


def _names(module: Path) -> dict[str, Any]:
    found = importlib.util.spec_from_file_location(module.stem, module)
    if found is None or found.loader is None:
        raise NbgraphError(f"{module} is not a Python file.")
    loaded = importlib.util.module_from_spec(found)
    found.loader.exec_module(loaded)
    return vars(loaded)


def _counted(text: str) -> tuple[str, int]:
    """
    >>> _counted("score=3")
    ('score', 3)
    """
    name, _, number = text.partition("=")
    if not number.isdigit():
        raise NbgraphError(f"--replicas {text}: expected FUNCTION=NUMBER, such as --replicas score=3.")
    return name, int(number)


def _attached(name: str) -> Deployment:
    from nbgraph.deploy.deployment import Deployment

    return Deployment.attach(name)


def main() -> None:
    """The command `nbgraph`; what is wrong is told in a line, with status 1."""
    try:
        app()
    except (NbgraphError, OSError) as error:
        print(f"nbgraph: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
