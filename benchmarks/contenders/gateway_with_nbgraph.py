"""An echo as a graph of one step, deployed as a process."""

from __future__ import annotations

from load import load_of, pinned
from protocol import Run, serve

from nbgraph import Graph

CONNECTIONS = 64


def gateway() -> Run:
    graph = Graph("echo")
    graph.to("(event)").respond()
    pinned(0)
    deployment = graph.deploy("process", progress=False)
    pinned(1)
    return load_of(int(deployment.url.rpartition(":")[2]), CONNECTIONS)


serve({"gateway": gateway})
