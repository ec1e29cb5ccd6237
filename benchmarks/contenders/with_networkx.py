"""networkx: a graph as plain data, checked for cycles and written as JSON."""

from __future__ import annotations

import json

import networkx
from protocol import Run, serve


def building(length: int) -> Run:
    def run(events: int) -> int:
        for _ in range(events // length):
            graph = networkx.DiGraph(name="chain")
            for number in range(length):
                graph.add_node(f"step{number}", handler="plus")
                if number:
                    graph.add_edge(f"step{number - 1}", f"step{number}")
            assert networkx.is_directed_acyclic_graph(graph)
            json.dumps(networkx.node_link_data(graph, edges="edges"))
        return events

    return run


serve(
    {
        "build 10": lambda: building(10),
        "build 100": lambda: building(100),
        "build 1000": lambda: building(1000),
    }
)
