"""Worker: the process inside a container; serves one exported graph until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.graph.graph import Graph
from nbgraph.serve.broker_link import Link
from nbgraph.serve.gateway.api_keys import Keys
from nbgraph.serve.gateway.app import Gateway
from nbgraph.serve.gateway.connection import configuration
from nbgraph.serve.gateway.cors import origins_of, sharing
from nbgraph.serve.gateway.identity import Identity
from nbgraph.serve.gateway.listener import GracefulClose, bound, inherited, leave
from nbgraph.serve.parent_watch import ParentWatch, nobody_there
from nbgraph.serve.project import load_function, load_project
from nbgraph.serve.requests.accepted_log import AcceptedLog
from nbgraph.serve.requests.file_store import FileStates
from nbgraph.serve.requests.store import RequestStore
from nbgraph.serve.requests.ticks import keep_ticking
from nbgraph.serve.settings import Settings, report_ready, set_variables
from nbgraph.serve.telemetry import tracing
from nbgraph.serve.telemetry.admin import inspected
from nbgraph.serve.telemetry.captures import Captures
from nbgraph.serve.telemetry.failures import Failures
from nbgraph.serve.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from nbgraph.serve.telemetry.watching import Watching

# Seconds in which a broker that is there lets a worker in. Until then whoever has the socket too, or is to be replaced,
# is there for callers; without a broker nobody is, and this worker says why.
HEAD_START = 3.0
log = logging.getLogger("nbgraph.serve")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; events in flight are finished first."""
    set_variables()
    file = nobody_there()
    tether = ParentWatch(file) if settings.is_until_eof else None
    fd = settings.listen_fd
    listener = bound(settings.host, settings.port) if fd is None else inherited(fd)
    graph = load_project(settings.project)
    part = load_function(settings.project)
    metrics = Metrics(graph.name, [step.name for step in graph.steps], part.name, graph.reported)
    failures = Failures(_part(settings, "failures"))
    tracing.set_up(graph.name)
    keys = Keys.of_file(settings.key_file, origins_of(settings.project))
    captures = Captures.of_project(settings.project, graph)
    spool = AcceptedLog(_part(settings, "accepted"), is_safe=settings.is_data_safe)
    identity = Identity(graph.name, settings.version, settings.data)
    watching = _watching(graph, settings)
    gateway = Gateway(
        graph, metrics, failures, keys, settings.limits, captures, spool, part.threads, identity, watching
    )
    if settings.data is not None:
        gateway.requests.shelf = RequestStore(FileStates(settings.data / "requests"))
    if watching is not None:
        from nbgraph.serve.telemetry.monitor_metrics import MonitorMetrics  # which loads NumPy

        metrics.watch(MonitorMetrics(watching))
    told = (metrics, failures, gateway.captures, gateway.hindrance, settings.targets_file, watching)
    watched = inspected(settings.metrics_host, settings.metrics_port, *told)
    with watched as metrics_port:
        asyncio.run(_serve(gateway, listener, metrics, settings, metrics_port, part, tether))
    gateway.close()
    if watching is not None:
        watching.close()


def _watching(graph: Graph, settings: Settings) -> Watching | None:
    """What is watched here; None where the graph is not."""
    if graph.watched is None:
        return None
    from nbgraph.serve.telemetry.watching import Watching  # which loads NumPy

    return Watching(graph, settings.watch_folder or _part(settings, "watched"))


def _part(settings: Settings, name: str) -> Path | None:
    return settings.data / name if settings.data is not None else None


async def _serve(
    gateway: Gateway,
    listener: socket.socket,
    metrics: Metrics,
    settings: Settings,
    metrics_port: int,
    part: FunctionSpec,
    tether: ParentWatch | None,
) -> None:
    link = Link(gateway, metrics, settings, part)
    farewell = GracefulClose(gateway)
    has_heir = settings.listen_fd is not None or settings.drain_seconds > 0  # somebody else takes the next connections
    app = sharing(farewell if has_heir else gateway, origins_of(settings.project), gateway.methods)
    server = _Server(configuration(app, settings.limits, settings.certificate_file, settings.certificate_key_file))
    stopping = asyncio.create_task(_told_to_stop(tether))
    joining = asyncio.create_task(link.join())
    await asyncio.wait({joining, stopping}, timeout=HEAD_START, return_when=asyncio.FIRST_COMPLETED)
    if joining.done():
        joining.result()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    await asyncio.wait({serving, stopping, joining}, return_when=asyncio.FIRST_COMPLETED)
    going: list[asyncio.Task[None]] = []
    if joining.done() and joining.exception() is None and not serving.done():
        report_ready(settings, listener.getsockname()[1], metrics_port)
        works = [gateway.runner.keep_time(), gateway.recovery.run(), keep_ticking(gateway)]
        if gateway.watching is not None:
            works.append(gateway.watching.handle(gateway.runner.track))
        going = [asyncio.create_task(work) for work in works]
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await _leave(gateway, server, farewell, metrics, settings)
    for task in (*going, joining, stopping):
        task.cancel()
    if link.pipeline is None or not link.pipeline.specs:  # behind a queue what is held stays with the broker
        await gateway.runner.let_go()
    if link.pipeline is not None:
        await link.pipeline.drain(settings.grace_seconds)
    server.should_exit = True
    await serving
    if link.pipeline is not None:
        await link.pipeline.close(1)
    if joining.done() and not joining.cancelled():
        joining.result()
    log.info("stopped")


async def _told_to_stop(tether: ParentWatch | None) -> None:
    """Return at SIGTERM and SIGINT, and when whoever started this has gone."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if tether is not None:
        tether.then(partial(_stopped, loop, stop))
    await stop.wait()


async def _leave(
    gateway: Gateway, server: uvicorn.Server, farewell: GracefulClose, metrics: Metrics, settings: Settings
) -> None:
    """Take no more callers, and let those that are there have their answers."""
    metrics.draining.set(1)
    farewell.is_leaving = True
    log.info("stopping", extra={"in_flight": gateway.in_flight})
    if settings.drain_seconds:  # callers are taken until whoever spreads them has noticed
        gateway.is_ready = False
        await asyncio.sleep(settings.drain_seconds)
    if settings.listen_fd is not None:
        await leave(server, lambda: gateway.in_flight, settings.grace_seconds)
    await _drain(gateway, settings)


def _stopped(serving: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: it has stopped already
        serving.call_soon_threadsafe(stop.set)


async def _drain(gateway: Gateway, settings: Settings) -> None:
    """New events are refused, then those in flight are finished."""
    gateway.is_ready, gateway.is_draining = False, True
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
