"""Worker: the process inside a container; serves one exported graph until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvicorn

from nbgraph.errors import NbgraphError
from nbgraph.serve import tracing
from nbgraph.serve.captures import Captures
from nbgraph.serve.connection import configuration
from nbgraph.serve.cors import sharing
from nbgraph.serve.failures import Failures
from nbgraph.serve.file_states import FileStates
from nbgraph.serve.handover import Farewell, inherited, leave
from nbgraph.serve.http import Gateway
from nbgraph.serve.inspection import inspected
from nbgraph.serve.keys import Keys
from nbgraph.serve.limits import Limits
from nbgraph.serve.metrics import Metrics
from nbgraph.serve.part import Part
from nbgraph.serve.pipeline import Pipeline
from nbgraph.serve.project import load_part, load_project
from nbgraph.serve.secret_variables import set_variables
from nbgraph.serve.shelf import Shelf
from nbgraph.serve.spool import Spool
from nbgraph.serve.tether import Tether, nobody_there

log = logging.getLogger("nbgraph.serve")


@dataclass(frozen=True)
class Settings:
    """Where a worker finds its project and keys, and where it listens.

    `drain_seconds`: how long it still answers after readiness has turned, so that load balancers notice.
    `grace_seconds`: how long events in flight may take then. `ready_file`: written with the ports when all is up.
    `listen_fd`: a socket that the parent opened, taken instead of `host` and `port`; the parent keeps it for the next
    gateway. `is_until_eof`: stop also when the standard input ends, which it does when the parent process dies.
    `cors`: the origins whose pages may call. `certificate_file`, `certificate_key_file`: HTTPS instead of HTTP.
    `broker`: the URL of the NATS server that joins the functions of a graph. `data`: a folder for what callers were
    promised, which the next worker of its place finds; with `is_data_safe` that is on the disk before it is promised.
    """

    project: Path
    host: str = "127.0.0.1"
    port: int = 8080
    listen_fd: int | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9090
    key_file: Path | None = None
    cors: tuple[str, ...] = ()
    certificate_file: Path | None = None
    certificate_key_file: Path | None = None
    ready_file: Path | None = None
    is_until_eof: bool = False
    drain_seconds: float = 0
    grace_seconds: float = 25
    broker: str | None = None
    broker_token_file: Path | None = None
    data: Path | None = None
    is_data_safe: bool = False
    limits: Limits = field(default_factory=Limits)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; events in flight are finished first."""
    set_variables()
    file = nobody_there()
    tether = Tether(file) if settings.is_until_eof else None
    fd = settings.listen_fd
    listener = _bound(settings.host, settings.port) if fd is None else inherited(fd)
    graph = load_project(settings.project)
    metrics = Metrics(graph.name, [step.name for step in graph.steps])
    failures = Failures(_part(settings, "failures"))
    graph.report_metric = metrics.metric
    tracing.set_up(graph.name)
    keys, captures = Keys.of_file(settings.key_file, settings.cors), Captures.of_project(settings.project, graph)
    spool = Spool(_part(settings, "accepted"), is_safe=settings.is_data_safe)
    part = load_part(settings.project)
    gateway = Gateway(graph, metrics, failures, keys, settings.limits, captures, spool, part.threads)
    if settings.data is not None:
        gateway.requests.shelf = Shelf(FileStates(settings.data / "requests"))
    watched = inspected(settings.metrics_host, settings.metrics_port, metrics, failures, gateway.captures)
    with watched as metrics_port:
        asyncio.run(_serve(gateway, listener, metrics, settings, metrics_port, part, tether))
    gateway.close()


def _part(settings: Settings, name: str) -> Path | None:
    return settings.data / name if settings.data is not None else None


async def _joined(gateway: Gateway, metrics: Metrics, settings: Settings, part: Part) -> Pipeline | None:
    """The way to the other functions of the graph, open; None where there are none."""
    if not part.is_joined:
        return None
    if settings.broker is None:
        raise NbgraphError(
            f'"{part.function}" is one function of several, which are joined by a NATS server; give its URL: --broker.'
        )
    from nbgraph.streams.nats import NatsBroker  # in the images of several functions only

    token = settings.broker_token_file.read_text().strip() if settings.broker_token_file is not None else None
    broker = await NatsBroker.connect(settings.broker, token=token)
    pipeline = Pipeline(
        gateway.runner.track,
        part,
        broker,
        tracing=gateway.tracing,
        captures=gateway.captures,
        seconds=settings.limits.seconds,
    )
    await pipeline.open()
    if part.asks or part.confirms:
        gateway.join(pipeline.callers, models=part.models)
    metrics.join(pipeline)
    return pipeline


async def _serve(
    gateway: Gateway,
    listener: socket.socket,
    metrics: Metrics,
    settings: Settings,
    metrics_port: int,
    part: Part,
    tether: Tether | None,
) -> None:
    pipeline = await _joined(gateway, metrics, settings, part)
    farewell = Farewell(gateway)
    has_heir = settings.listen_fd is not None or settings.drain_seconds > 0  # somebody else takes the next connections
    app = sharing(farewell if has_heir else gateway, settings.cors)
    server = _Server(configuration(app, settings.limits, settings.certificate_file, settings.certificate_key_file))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if tether is not None:
        tether.then(partial(_stopped, asyncio.get_running_loop(), stop))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    _report_ready(settings, listener.getsockname()[1], metrics_port)
    going = [asyncio.create_task(work) for work in (gateway.runner.keep_time(), gateway.recovery.run())]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    metrics.draining.set(1)
    farewell.is_leaving = True
    if settings.listen_fd is not None:
        await leave(server, lambda: gateway.in_flight, settings.grace_seconds)
    await _drain(gateway, settings)
    for task in going:
        task.cancel()
    if pipeline is None or not pipeline.specs:  # behind a queue what is held stays with the broker
        await gateway.runner.let_go()
    if pipeline is not None:
        await pipeline.drain(settings.grace_seconds)
    server.should_exit = True
    await serving
    stopping.cancel()
    if pipeline is not None:
        await pipeline.close(1)
    log.info("stopped")


def _stopped(serving: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: it has stopped already
        serving.call_soon_threadsafe(stop.set)


async def _drain(gateway: Gateway, settings: Settings) -> None:
    """Readiness turns first, then new events are refused, then those in flight are finished."""
    log.info("stopping", extra={"in_flight": gateway.in_flight})
    gateway.is_ready = False
    await asyncio.sleep(settings.drain_seconds)
    gateway.is_draining = True
    deadline = asyncio.get_running_loop().time() + settings.grace_seconds
    while gateway.in_flight and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.01)
    if gateway.in_flight:
        log.error("gave up on events in flight", extra={"in_flight": gateway.in_flight})


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, which close the listener at once and end the process by the signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where a socket names its protocol; without it every answer waits 40 ms for an ack.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise NbgraphError(f"Port {port} on {host} can't be used: {error.strerror}; choose another.") from error
    return listener


def _report_ready(settings: Settings, port: int, metrics_port: int) -> None:
    log.info("ready", extra={"host": settings.host, "port": port, "metrics_port": metrics_port})
    if settings.ready_file is not None:
        unfinished = settings.ready_file.with_suffix(".part")
        unfinished.write_text(json.dumps({"pid": os.getpid(), "port": port, "metrics_port": metrics_port}))
        unfinished.replace(settings.ready_file)  # whoever waits for the file finds it whole
