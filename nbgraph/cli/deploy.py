"""Commands that make a graph live outside of the notebook: export, deploy, serve."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbgraph.cli import options
from nbgraph.cli.document import Allow, Json, Module, NoIo, Saved, load
from nbgraph.cli.options import (
    Autoscale,
    BaseImage,
    Capture,
    Cors,
    Durability,
    Env,
    EnvFile,
    IndexUrl,
    Replicas,
    Requirement,
    Requirements,
    Resource,
    Secret,
    SecretsFile,
    Streams,
    Threads,
    Volume,
    Workers,
)
from nbgraph.deploy.target import any_of, exports, host_target, hosts
from nbgraph.errors import NbgraphError

if TYPE_CHECKING:
    from nbgraph.deploy.deployment import Deployment


def export(
    graph: Saved,
    folder: Annotated[Path, typer.Argument(help="where the project is written")],
    target: Annotated[str, typer.Option(help=any_of(exports()))] = "compose",
    replicas: Replicas = None,
    threads: Threads = None,
    workers: Workers = None,
    autoscale: Autoscale = None,
    registry: Annotated[str | None, typer.Option(help="where the images are pushed to and pulled from")] = None,
    name: Annotated[str | None, typer.Option(help="what the project is called; default: the graph's name")] = None,
    port: Annotated[int | None, typer.Option(help="where Compose listens; default: 8080")] = None,
    host: Annotated[str, typer.Option(help="others than this machine need a key: --api-key")] = "127.0.0.1",
    api_key: Annotated[bool, typer.Option("--api-key", help="callers need a key, which secrets.sh makes")] = False,
    env: Env = None,
    env_file: EnvFile = None,
    secret: Secret = None,
    secrets_file: SecretsFile = None,
    resources: Resource = None,
    volume: Volume = None,
    cors: Cors = None,
    requirement: Requirement = None,
    requirements: Requirements = None,
    index_url: IndexUrl = None,
    base_image: BaseImage = None,
    durability: Durability = None,
    streams: Streams = "nats",
    capture: Capture = 0.0,
    module: Module = None,
    allow: Allow = None,
    no_io: NoIo = False,
    as_json: Json = False,
) -> None:
    """Write a graph as a project that builds and runs by itself."""
    written = load(graph, module, allow, io=not no_io).export(
        folder, target, replicas=options.counts(replicas), threads=options.counts(threads, "threads"),
        workers=workers, autoscale=options.rules(autoscale), registry=registry, name=name,
        port=port, host=host, api_key=api_key or None, env=options.variables(env, env_file),
        secrets=options.secrets(secret, secrets_file), resources=options.resources(resources),
        volumes=options.volumes(volume), cors=cors,
        requirements=options.requirements(requirement, requirements),
        index_url=index_url, base_image=options.images(base_image), durability=durability,
        streams=streams, capture=capture,
    )  # fmt: skip
    told = {"folder": str(written.folder), "files": dict(written.files), "digest": written.digest}
    print(json.dumps(told) if as_json else written)


def deploy(
    graph: Saved,
    target: Annotated[str, typer.Option(help=any_of(hosts()))] = "docker",
    name: Annotated[str | None, typer.Option(help="what runs under it goes on with this graph")] = None,
    version: Annotated[str | None, typer.Option(help="what it is, as 1.2; default: a count that goes up")] = None,
    port: Annotated[int | None, typer.Option(help="a free one if left out")] = None,
    host: Annotated[str, typer.Option(help="others than this machine need a key: --key-file")] = "127.0.0.1",
    key_file: Annotated[Path | None, typer.Option(help="a file with the API key of callers")] = None,
    replicas: Replicas = None,
    threads: Threads = None,
    workers: Workers = None,
    autoscale: Annotated[
        list[str] | None, typer.Option(help="FUNCTION=LEAST:MOST:TARGET, as score=1:8:100; of processes")
    ] = None,
    env: Env = None,
    env_file: EnvFile = None,
    secret: Secret = None,
    secrets_file: SecretsFile = None,
    resources: Resource = None,
    volume: Volume = None,
    cors: Cors = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file of a certificate: callers come by HTTPS")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="PEM file of its key")] = None,
    requirement: Requirement = None,
    requirements: Requirements = None,
    index_url: IndexUrl = None,
    base_image: BaseImage = None,
    durability: Durability = None,
    streams: Streams = "nats",
    capture: Capture = 0.0,
    registry: Annotated[str | None, typer.Option(help="where the nodes of a Swarm pull the images from")] = None,
    timeout: Annotated[float, typer.Option(help="seconds until all has to be ready")] = 180,
    module: Module = None,
    allow: Allow = None,
    no_io: NoIo = False,
    as_json: Json = False,
) -> None:
    """Host a graph; processes live as long as this command, containers on their own."""
    pair = (certificate, certificate_key) if certificate is not None and certificate_key is not None else None
    if pair is None and (certificate or certificate_key):
        raise NbgraphError("--certificate and --certificate-key go together.")
    key = key_file.read_text().strip() if key_file is not None else None
    rules = options.rules(autoscale)
    if rules and not host_target(target).ends_with_owner:
        raise NbgraphError("--autoscale needs somebody who stays and watches; it goes with --target process.")
    deployment = load(graph, module, allow, io=not no_io).deploy(
        target, name=name, version=version, port=port, host=host, api_key=key, replicas=options.counts(replicas),
        threads=options.counts(threads, "threads"), workers=workers, autoscale=rules,
        env=options.variables(env, env_file), secrets=options.secrets(secret, secrets_file),
        resources=options.resources(resources), volumes=options.volumes(volume), cors=cors, certificate=pair,
        requirements=options.requirements(requirement, requirements), index_url=index_url,
        base_image=options.images(base_image),
        durability=durability, registry=registry, streams=streams, capture=capture,
        timeout=timeout, progress=not as_json,
    )  # fmt: skip
    told = {"name": deployment.name, "url": deployment.url, "functions": deployment.functions}
    print(json.dumps(told) if as_json else f"{deployment.name} answers at {deployment.url}", flush=True)
    if host_target(target).ends_with_owner:
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
        deploy(graph, "process", port=port or None, host=host, key_file=key_file, module=module, allow=allow,
               no_io=no_io, as_json=as_json)  # fmt: skip
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
