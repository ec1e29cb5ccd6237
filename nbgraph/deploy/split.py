"""Split: the functions a graph falls into, each of which becomes one image and one service."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbgraph.errors import DeployError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step

LONGEST = 40  # characters of a name that Docker, DNS and Kubernetes all take


@dataclass(frozen=True, slots=True)
class Function:
    """A deployable group of steps: its name, and the graph of them."""

    name: str
    graph: Graph


def split(graph: Graph) -> list[Function]:
    """The functions of a graph, the one that callers reach first. Today a graph must be one function.

    >>> [function.name for function in split(Graph("Score payments!"))]
    ['score-payments']
    """
    queues = [step.name for step in graph.steps if _is_queue(step)]
    if queues:
        raise DeployError(
            f'Graph "{graph.name}" has queues ({", ".join(queues)}), and a deployment can\'t run those yet; leave them '
            "out, or run the graph in the notebook."
        )
    names = {step.function for step in graph.steps}
    if len(names) > 1:
        listed = ", ".join(sorted(str(name) for name in names if name is not None))
        raise DeployError(
            f'Graph "{graph.name}" has several functions ({listed} and the rest), and a deployment can\'t run those '
            "yet; take the @function marks away, or run the graph in the notebook."
        )
    return [Function(slug(next(iter(names), None) or graph.name), graph)]


def slug(name: str) -> str:
    """A name as images, hosts and labels allow it.

    >>> slug("Überweisung <b>"), slug("A_b.C"), slug("é")
    ('berweisung-b', 'a-b-c', 'graph')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST].strip("-")
    return plain or "graph"


def _is_queue(step: Step) -> bool:
    handler = step.handler
    name = handler if isinstance(handler, str) else getattr(handler, "__name__", type(handler).__name__)
    module = getattr(handler, "__module__", "nbgraph")
    return name == "Queue" and str(module).startswith("nbgraph")
