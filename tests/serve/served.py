"""A graph behind a real HTTP server, each of its functions with a pipeline of its own, in this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from nbgraph import Graph
from nbgraph.deploy.split import split
from nbgraph.engine import loop
from nbgraph.serve.failures import Failures
from nbgraph.serve.http import Gateway
from nbgraph.serve.keys import Keys
from nbgraph.serve.limits import Limits
from nbgraph.serve.metrics import Metrics
from nbgraph.serve.part import Part
from nbgraph.serve.pipeline import Pipeline
from nbgraph.streams.base import Broker

Connect = Callable[[], Coroutine[Any, Any, Broker]]


@contextmanager
def served(graph: Graph, connect: Connect | None = None, limits: Limits | None = None) -> Iterator[httpx.Client]:
    """A client of the graph; `connect` where it has several functions."""
    functions = split(graph)
    gateway = gateway_of(functions[0].graph, limits)
    pipelines: list[Pipeline] = []
    if connect is not None:
        parts = [Part(f.name, f.reads, f.answers, f.asks, f.confirms) for f in functions]
        plans = [gateway.runner.plan, *(gateway.tracing.watching(function.graph.plan()) for function in functions[1:])]
        for plan, part in zip(plans, parts, strict=True):
            broker = loop.submit(connect()).result(30)
            pipelines.append(Pipeline(plan, part, broker, tracing=gateway.tracing, seconds=gateway.limits.seconds))
            loop.submit(pipelines[-1].open()).result(30)
        gateway.join(pipelines[0].callers)
    try:
        with listening(gateway) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            yield client
    finally:
        gateway.close()
        for pipeline in pipelines:
            loop.submit(pipeline.close(1)).result(30)  # a connection can't be closed from another loop


def gateway_of(graph: Graph, limits: Limits | None = None) -> Gateway:
    metrics = Metrics(graph.name, [step.name for step in graph.steps])
    return Gateway(graph, metrics, Failures(), Keys([]), limits or Limits())


@contextmanager
def listening(gateway: Gateway) -> Iterator[str]:
    """The URL of the gateway behind uvicorn, on a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(gateway, lifespan="off", log_config=None, ws="none"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
