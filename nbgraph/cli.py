"""The command line: run, draw, export, deploy and look after a saved graph, with the words of the notebook."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbgraph.cli_features import app as features
from nbgraph.cli_module import names_in
from nbgraph.deploy.target import any_of, exports, host_target, hosts
from nbgraph.errors import NbgraphError, StepError
from nbgraph.graph.graph import Graph

if TYPE_CHECKING:
    from nbgraph.deploy.deployment import Deployment

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Run, draw, export and deploy saved graphs.")
app.add_typer(features, name="features")
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
Name = Annotated[str, typer.Argument(help="a deployment's name, or its graph's")]
Target = Annotated[str | None, typer.Option(help="where it is, if one of that name runs on several")]
Replicas = Annotated[list[str] | None, typer.Option(help="FUNCTION=NUMBER; one for each function")]
Threads = Annotated[
    list[str] | None, typer.Option(help="FUNCTION=NUMBER: synchronous steps that its workers run at once")
]
Workers = Annotated[int | None, typer.Option(help="processes of the function that callers reach")]
Autoscale = Annotated[
    list[str] | None, typer.Option(help="FUNCTION=LEAST:MOST:TARGET, as score=1:8:100; one for each function")
]
Env = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE, or NAME to take it from here; FUNCTION/NAME=... for one function")
]
EnvFile = Annotated[Path | None, typer.Option(help="a file of lines NAME=VALUE")]
Secret = Annotated[
    list[str] | None, typer.Option(help="NAME to take it from the environment, NAME=FILE from a file; FUNCTION/NAME...")
]
SecretsFile = Annotated[Path | None, typer.Option(help="a file of lines NAME=VALUE, which are secrets")]
Resource = Annotated[
    list[str] | None, typer.Option("--resources", help="[FUNCTION/]cpus=1.5,memory=512m,gpus=1,tmp=64m")
]
Volume = Annotated[list[str] | None, typer.Option(help="[FUNCTION/]FOLDER-OR-NAME:PATH[:ro]")]
Cors = Annotated[list[str] | None, typer.Option(help="a site whose pages may call, as https://shop.example")]
Requirement = Annotated[list[str] | None, typer.Option(help="a package to install as well; one for each")]
Requirements = Annotated[
    list[Path] | None, typer.Option("--requirements", "-r", help="a file of packages to install as well")
]
IndexUrl = Annotated[
    str | None, typer.Option(envvar="NBGRAPH_INDEX_URL", help="the index that packages are taken from")
]
BaseImage = Annotated[
    list[str] | None, typer.Option(help="what the images are made from; FUNCTION=IMAGE for one function")
]
Streams = Annotated[
    str, typer.Option(help="nats; an existing Kafka cluster, kafka://host:9092; or kafka, as NBGRAPH_KAFKA says")
]
Durability = Annotated[str | None, typer.Option(help="sync or fast")]
Capture = Annotated[float, typer.Option(help="the part of all events that is recorded, as 0.01")]


@app.command()
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


@app.command()
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


@app.command()
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
    from nbgraph.deploy.options import command_line

    written = load(graph, module, allow, io=not no_io).export(
        folder, target, replicas=command_line.counts(replicas), threads=command_line.counts(threads, "threads"),
        workers=workers, autoscale=command_line.rules(autoscale), registry=registry, name=name,
        port=port, host=host, api_key=api_key or None, env=command_line.variables(env, env_file),
        secrets=command_line.secrets(secret, secrets_file), resources=command_line.resources(resources),
        volumes=command_line.volumes(volume), cors=cors,
        requirements=command_line.requirements(requirement, requirements),
        index_url=index_url, base_image=command_line.images(base_image), durability=durability,
        streams=streams, capture=capture,
    )  # fmt: skip
    told = {"folder": str(written.folder), "files": dict(written.files), "digest": written.digest}
    print(json.dumps(told) if as_json else written)


@app.command()
def deploy(
    graph: Saved,
    target: Annotated[str, typer.Option(help=any_of(hosts()))] = "docker",
    name: Annotated[str | None, typer.Option(help="what runs under it goes on with this graph")] = None,
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
    from nbgraph.deploy.options import command_line

    pair = (certificate, certificate_key) if certificate is not None and certificate_key is not None else None
    if pair is None and (certificate or certificate_key):
        raise NbgraphError("--certificate and --certificate-key go together.")
    key = key_file.read_text().strip() if key_file is not None else None
    rules = command_line.rules(autoscale)
    if rules and not host_target(target).ends_with_owner:
        raise NbgraphError("--autoscale needs somebody who stays and watches; it goes with --target process.")
    deployment = load(graph, module, allow, io=not no_io).deploy(
        target, name=name, port=port, host=host, api_key=key, replicas=command_line.counts(replicas),
        threads=command_line.counts(threads, "threads"), workers=workers, autoscale=rules,
        env=command_line.variables(env, env_file), secrets=command_line.secrets(secret, secrets_file),
        resources=command_line.resources(resources), volumes=command_line.volumes(volume), cors=cors, certificate=pair,
        requirements=command_line.requirements(requirement, requirements), index_url=index_url,
        base_image=command_line.images(base_image),
        durability=durability, registry=registry, streams=streams, capture=capture,
        timeout=timeout, progress=not as_json,
    )  # fmt: skip
    told = {"name": deployment.name, "url": deployment.url, "functions": deployment.functions}
    print(json.dumps(told) if as_json else f"{deployment.name} answers at {deployment.url}", flush=True)
    if host_target(target).ends_with_owner:
        _stay(deployment)


@app.command()
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


@app.command()
def status(name: Name, target: Target = None, as_json: Json = False) -> None:
    """The replicas of a deployment."""
    frame = _attached(name, target).status()
    print(frame.to_json(orient="records", date_format="iso") if as_json else frame.to_string(index=False))


@app.command()
def logs(
    name: Name,
    function: Annotated[str | None, typer.Option(help="one function's only")] = None,
    lines: Annotated[int, typer.Option(help="the last ones of each worker")] = 100,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """What the workers logged and the steps printed."""
    text = _attached(name, target).logs(function, lines)
    print(json.dumps(text.splitlines()) if as_json else text)


@app.command()
def scale(name: Name, function: str, replicas: int, target: Target = None, as_json: Json = False) -> None:
    """Run that many replicas of a function."""
    deployment = _attached(name, target)
    deployment.scale(function, replicas)
    if as_json:
        print(json.dumps({"name": deployment.name, "function": function, "replicas": replicas}))


@app.command()
def mend(name: Name, target: Target = None, as_json: Json = False) -> None:
    """Start again the containers of a deployment that somebody has ended, which Docker leaves alone."""
    mended = _attached(name, target).mend()
    print(json.dumps(mended) if as_json else "\n".join(mended) or "all runs")


@app.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="remove it; else it is only listed")] = False, as_json: Json = False
) -> None:
    """List, or remove, what deployments and builds have left at the Docker daemon and nobody uses any more."""
    from dataclasses import asdict

    from nbgraph.deploy.docker.prune import prune as pruned

    found = pruned(is_meant=yes)
    if as_json:
        print(json.dumps([asdict(left) for left in found]))
        return
    for left in found:
        print(f"{left.kind} {left.name}" + (f" ({left.size / 2**20:.0f} MiB)" if left.size else ""))
    size = sum(left.size for left in found) / 2**20
    print(f"{len(found)} removed" if yes else f"{len(found)} things, images of {size:.0f} MiB; --yes removes them")


@app.command()
def stop(name: Name, target: Target = None, as_json: Json = False) -> None:
    """End a deployment; events in flight are finished first."""
    deployment = _attached(name, target)
    deployment.stop()
    if as_json:
        print(json.dumps({"name": deployment.name, "stopped": True}))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
    words = ["--project", str(graph), "--port", str(port), "--host", host, *keys, *context.args]
    raise typer.Exit(serving(words))


def _stay(deployment: Deployment) -> None:
    """Return when the deployment is stopped: by Ctrl-C, SIGTERM, or `nbgraph stop` elsewhere."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    while not (asked.wait(0.2) or deployment.is_stopped):
        pass
    deployment.stop()


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


def _attached(name: str, target: str | None = None) -> Deployment:
    from nbgraph.deploy.deployment import Deployment

    return Deployment.attach(name, target=target)


def main() -> None:
    """The command `nbgraph`; what is wrong is told in a line, with status 1."""
    try:
        app()
    except (NbgraphError, OSError) as error:
        print(f"nbgraph: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
