"""Check: all faults in the form of a graph, one sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.step import Step
from nbgraph.graph.topology import cycles, successors
from nbgraph.types import EdgeKind


def problems(steps: Sequence[Step], edges: Sequence[Edge]) -> list[str]:
    """Every fault found; an empty list for a sound graph.

    >>> problems([Step("a", str)], [Edge("a", "b")])
    ['Step "a" sends to "b", which is not in the graph. Known steps: a.']
    """
    names = [step.name for step in steps]
    return [*_unknown(names, edges), *_loops(names, edges), *_lonely_otherwise(edges), *_graph_handlers(edges)]


def shared(types: Iterable[str]) -> list[str]:
    """What runs have met that branches could not have of their own, by the names of its types.

    >>> shared(["_io.TextIOWrapper"])
    ["Bodies hold values of type _io.TextIOWrapper, which can't be copied: the branches of this graph share them. \
Make them in the step that uses them, or say copy=False where sharing is meant."]
    """
    names = ", ".join(types)
    return [
        f"Bodies hold values of type {names}, which can't be copied: the branches of this graph share them. "
        "Make them in the step that uses them, or say copy=False where sharing is meant."
    ] if names else []  # fmt: skip


def unknown_step(name: str, known: Iterable[str], what: str) -> str:
    """The sentence for a name that no step has, with the likeliest slip."""
    known = list(known)
    close = get_close_matches(name, known, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    return f"{what}, which is not in the graph. Known steps: {', '.join(known) or 'none'}.{hint}"


def _unknown(names: Sequence[str], edges: Sequence[Edge]) -> Iterator[str]:
    known = set(names)
    for edge in edges:
        if edge.target not in known:
            yield unknown_step(edge.target, names, f'Step "{edge.source}" sends to "{edge.target}"')
        if edge.source not in known and edge.source != WHOLE_GRAPH:
            yield unknown_step(edge.source, names, f'An edge to "{edge.target}" leaves "{edge.source}"')


def _loops(names: Sequence[str], edges: Sequence[Edge]) -> Iterator[str]:
    for group in cycles(successors(names, edges, kinds=[EdgeKind.FLOW])):
        way = " -> ".join([*reversed(group), group[-1]])
        yield f"The steps {way} form a loop by accident; only cycle_to, or an arrow back in a cell, makes a cycle."


def _lonely_otherwise(edges: Sequence[Edge]) -> Iterator[str]:
    with_condition = {edge.source for edge in edges if edge.when is not None}
    for edge in edges:
        if edge.otherwise and edge.source not in with_condition:
            yield (
                f'The edge "{edge.source}" -> "{edge.target}" is an otherwise, but no other edge of '
                f'"{edge.source}" has a condition; add `when=` to one of them.'
            )


def _graph_handlers(edges: Sequence[Edge]) -> Iterator[str]:
    handlers = [edge.target for edge in edges if edge.is_error and edge.source == WHOLE_GRAPH]
    for edge in edges:
        if edge.source in handlers and edge.carries_events:
            yield (
                f'The graph\'s error handler "{edge.source}" goes on to "{edge.target}"; the error of any step may end '
                "there, so nothing can follow it. Give the step concerned a handler of its own with `before`."
            )
