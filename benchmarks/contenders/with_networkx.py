"""networkx: a graph as plain data, checked for cycles and written as JSON."""

from __future__ import annotations

import json

import networkx
from protocol import Run, serve


def building() -> Run:
    def run(steps: int) -> int:
        graph = networkx.DiGraph(name="chain")
        for number in range(steps):
            graph.add_node(f"step{number}", handler="plus")
            if number:
                graph.add_edge(f"step{number - 1}", f"step{number}")
        assert networkx.is_directed_acyclic_graph(graph)
        json.dumps(networkx.node_link_data(graph, edges="edges"))
        return steps

    return run


serve({"build": building})
