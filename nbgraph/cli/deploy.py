"""Commands that make a graph live outside of the notebook: export, deploy, serve."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbgraph.cli.document import Allow, Json, Module, NoIo, Saved, load
from nbgraph.cli.options import DeployFlags, ExportFlags, told
from nbgraph.deploy.target import host_target
from nbgraph.errors import NbgraphError

if TYPE_CHECKING:
    from nbgraph.deploy.deployment import Deployment


@told(ExportFlags)
def export(flags: ExportFlags) -> None:
    """Write a graph as a project that builds and runs by itself."""
    from nbgraph.deploy.export import export

    written = export(load(flags.graph, flags.module, flags.allow, io=not flags.no_io), flags.options())
    report = {"folder": str(written.folder), "files": dict(written.files), "digest": written.digest}
    print(json.dumps(report) if flags.as_json else written)


@told(DeployFlags)
def deploy(flags: DeployFlags) -> None:
    """Host a graph; processes live as long as this command, containers on their own."""
    from nbgraph.deploy.deploy import deploy

    options = flags.options()
    ends_with_owner = host_target(options.target).ends_with_owner
    if options.autoscale and not ends_with_owner:
        raise NbgraphError("--autoscale needs somebody who stays and watches; it goes with --target process.")
    deployment = deploy(load(flags.graph, flags.module, flags.allow, io=not flags.no_io), options)
    report = {"name": deployment.name, "url": deployment.url, "functions": deployment.functions}
    line = f"{deployment.name} answers at {deployment.url}"
    print(json.dumps(report) if flags.as_json else line, flush=True)
    if ends_with_owner:
        _stay(deployment)


def serve(
    context: typer.Context,
    graph: Saved,
    port: Annotated[int, typer.Option(help="0 for any free one")] = 8080,
    host: Annotated[str, typer.Option(help="others than this machine need a key: --key-file")] = "127.0.0.1",
    key_file: Annotated[Path | None, typer.Option(help="a file with the API key of callers")] = None,
    module: Module = None,
    allow: Allow = None,
    no_io: NoIo = False,
    as_json: Json = False,
) -> None:
    """Serve a saved graph here, all of its functions; or one exported function, as its container would.

    Of a function's folder all options of `python -m nbgraph.serve` are understood.
    """
    if not graph.is_dir():
        if context.args:
            raise NbgraphError(f"{' '.join(context.args)}: known only where one exported function is served.")
        deploy(
            graph,
            target="process",
            port=port or None,
            host=host,
            key_file=key_file,
            module=module,
            allow=allow,
            no_io=no_io,
            as_json=as_json,
        )
        return
    from nbgraph.serve.__main__ import main as serving

    keys = ["--key-file", str(key_file)] if key_file is not None else []
    command = ["--project", str(graph), "--port", str(port), "--host", host, *keys, *context.args]
    raise typer.Exit(serving(command))


def _stay(deployment: Deployment) -> None:
    """Return when the deployment is stopped: by Ctrl-C, SIGTERM, or `nbgraph stop` elsewhere."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    while not (asked.wait(0.2) or deployment.is_stopped):
        pass
    deployment.stop()
