"""A graph behind a real HTTP server, each of its functions with a pipeline of its own, in this process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from nbgraph import Graph
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.loop import LoopThread
from nbgraph.engine.partition import split
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.gateway.api_keys import Keys
from nbgraph.serve.gateway.app import Gateway
from nbgraph.serve.gateway.connection import configuration
from nbgraph.serve.gateway.cors import sharing
from nbgraph.serve.gateway.limits import Limits
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.serve.requests.accepted_log import AcceptedLog
from nbgraph.serve.telemetry.failures import Failures
from nbgraph.serve.telemetry.metrics import Metrics
from nbgraph.streams.base import Broker

Connect = Callable[[], Coroutine[Any, Any, Broker]]


@contextmanager
def served(
    graph: Graph,
    connect: Connect | None = None,
    limits: Limits | None = None,
    threads: Mapping[str, int] | None = None,
    folder: Path | None = None,
) -> Iterator[httpx.Client]:
    """A client of the graph; `connect` where it has several functions."""
    home = LoopThread("served")
    functions = split(graph)
    counts = threads or {}
    gateway = gateway_of(functions[0].graph, limits, counts.get(functions[0].name, 1), folder)
    pipelines: list[Consumer] = []

    async def joined(connect: Connect) -> None:
        for function in functions:
            part = FunctionSpec(function.name, function.reads, function.answers, function.asks, function.confirms)
            plan = gateway.tracing.watching(function.graph.plan())
            track = gateway.runner.track if not pipelines else PlanRunner(plan, counts.get(function.name, 1))
            seconds = gateway.limits.seconds
            pipelines.append(Consumer(track, part, await connect(), tracing=gateway.tracing, seconds=seconds))
            await pipelines[-1].open()
        gateway.join(pipelines[0].callers)

    async def closed() -> None:
        for pipeline in pipelines:
            await pipeline.close(1)

    try:
        if connect is not None:
            home.submit(joined(connect)).result(30)
        with listening(gateway, home) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            yield client
    finally:
        gateway.close()
        home.submit(closed()).result(30)
        home.stop()


def gateway_of(
    graph: Graph,
    limits: Limits | None = None,
    threads: int = 1,
    folder: Path | None = None,
    keys: Keys | None = None,
) -> Gateway:
    metrics = Metrics(graph.name, [step.name for step in graph.steps])
    spool = AcceptedLog(folder)
    return Gateway(graph, metrics, Failures(), keys or Keys([]), limits or Limits(), spool=spool, threads=threads)


@contextmanager
def hosted(gateway: Gateway, **how: Any) -> Iterator[str]:
    """As `listening`, on a loop of its own."""
    home = LoopThread("hosted")
    try:
        with listening(gateway, home, **how) as url:
            yield url
    finally:
        gateway.close()
        home.stop()


@contextmanager
def listening(
    gateway: Gateway,
    home: LoopThread,
    cors: Sequence[str] = (),
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[str]:
    """The URL of the gateway behind uvicorn, on that loop."""
    # Named as TCP, or asyncio leaves it to wait 40 ms for acknowledgements.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # whoever comes before the server is up waits
    server = uvicorn.Server(configuration(sharing(gateway, cors), gateway.limits, *(certificate or ())))
    serving = home.submit(server.serve([listener]))
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        serving.result(10)
        listener.close()
