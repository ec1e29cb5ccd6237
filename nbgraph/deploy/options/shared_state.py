"""Shared state: steps that keep one state for all events, behind a queue whose shards would have one each.

In the notebook there is one state; a deployment keeps one a shard. Where it is kept by the key of the queue that is the
same, and where it is not, another answer would come, so such a graph is refused before anything starts.
"""

from __future__ import annotations

from nbgraph.engine.partition import Function, split
from nbgraph.engine.step_facts import how_to_key, is_by_key, remembers
from nbgraph.errors import DeployError
from nbgraph.graph import topology
from nbgraph.graph.graph import Graph
from nbgraph.types import EdgeKind

KINDS = [EdgeKind.FLOW, EdgeKind.ERROR, EdgeKind.CYCLE]


def functions_of(graph: Graph) -> list[Function]:
    """The functions that a graph falls into, which answer together what it answers as a whole."""
    functions = split(graph)
    for function in functions:
        _check(function)
    return functions


def _check(function: Function) -> None:
    graph = function.graph
    following = topology.successors([step.name for step in graph.steps], graph.edges, kinds=KINDS)
    for queue in function.reads:
        given = graph.spec(queue).arguments
        shards = given.get("shards", 1)
        if given.get("key") is None or shards == 1:
            continue
        for name in sorted(topology.reachable(following, [queue]) - {queue}):
            if remembers(graph, graph.spec(name)) and not is_by_key(graph, graph.spec(name), given["key"]):
                raise DeployError(
                    f'Step "{name}" keeps one state for all events, and each of the {shards} shards of the queue '
                    f'"{given["queue"]}" before it would have one of its own, with other answers than in the notebook: '
                    "give the queue one shard (shards=1), or keep the state by the queue's key "
                    f"({how_to_key(graph, graph.spec(name))})."
                )
