"""Check: all findings about the form of a graph, one sentence each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.finding import Finding, meant
from nbgraph.graph.naming import is_endpoint
from nbgraph.graph.step import Step
from nbgraph.graph.topology import cycles, reachable, starts, successors
from nbgraph.types import EdgeKind

_NONE: Mapping[str, str] = MappingProxyType({})


def findings(
    steps: Sequence[Step], edges: Sequence[Edge], cut_off: Mapping[str, str] = _NONE, responders: Collection[str] = ()
) -> list[Finding]:
    """Every fault found, and what looks like a slip; an empty list for a sound graph.

    `cut_off` has the steps whose last arrow went with a step that was removed, and that step.

    >>> findings([Step("a", str)], [Edge("a", "b")])[0].text
    'Step "a" sends to "b", which is not in the graph. Known steps: a.'
    """
    names = [step.name for step in steps]
    faults = [*_unknown(names, edges), *_loops(names, edges), *_lonely_otherwise(edges), *_graph_handlers(edges)]
    if not faults and any(map(is_endpoint, steps)):
        from nbgraph.graph.routes import routing  # most graphs have no routes

        return [*routing.findings(steps, edges, responders), *_cut_off(names, edges, cut_off)]
    return faults or [*_cut_off(names, edges, cut_off), *_apart(names, edges, cut_off)]


def shared(types: Collection[str]) -> list[str]:
    """What runs have met that branches could not have of their own, by the names of its types.

    >>> shared(["_io.TextIOWrapper"])
    ["Bodies hold values of type _io.TextIOWrapper, which can't be copied: the branches of this graph share them. \
Make them in the step that uses them, or say copy=False where sharing is meant."]
    """
    if not types:
        return []
    return [
        f"Bodies hold values of type {', '.join(types)}, which can't be copied: the branches of this graph share them. "
        "Make them in the step that uses them, or say copy=False where sharing is meant."
    ]


def unknown_step(name: str, known: Iterable[str], what: str) -> str:
    """The sentence for a name that no step has, with the likeliest slip."""
    known = list(known)
    return f"{what}, which is not in the graph. Known steps: {', '.join(known) or 'none'}.{meant(name, known)}"


def _unknown(names: Sequence[str], edges: Sequence[Edge]) -> Iterator[Finding]:
    known = set(names)
    for edge in edges:
        if edge.target not in known:
            text = unknown_step(edge.target, names, f'Step "{edge.source}" sends to "{edge.target}"')
            yield Finding(text, edge.source, edge.target)
        if edge.source not in known and edge.source != WHOLE_GRAPH:
            text = unknown_step(edge.source, names, f'An edge to "{edge.target}" leaves "{edge.source}"')
            yield Finding(text, edge.source, edge.target)


def _loops(names: Sequence[str], edges: Sequence[Edge]) -> Iterator[Finding]:
    for group in cycles(successors(names, edges, kinds=[EdgeKind.FLOW])):
        way = " -> ".join([*reversed(group), group[-1]])
        text = f"The steps {way} form a loop by accident; only cycle_to, or an arrow back in a cell, makes a cycle."
        yield Finding(text, group[0])


def _lonely_otherwise(edges: Sequence[Edge]) -> Iterator[Finding]:
    with_condition = {edge.source for edge in edges if edge.when is not None}
    for edge in edges:
        if edge.otherwise and edge.source not in with_condition:
            yield Finding(
                f'The edge "{edge.source}" -> "{edge.target}" is an otherwise, but no other edge of '
                f'"{edge.source}" has a condition; add `when=` to one of them.',
                edge.source,
                edge.target,
            )


def _graph_handlers(edges: Sequence[Edge]) -> Iterator[Finding]:
    handlers = [edge.target for edge in edges if edge.is_error and edge.source == WHOLE_GRAPH]
    for edge in edges:
        if edge.source in handlers and edge.carries_events:
            yield Finding(
                f'The graph\'s error handler "{edge.source}" goes on to "{edge.target}"; the error of any step may end '
                "there, so nothing can follow it. Give the step concerned a handler of its own with `before`.",
                edge.source,
                edge.target,
            )


def _cut_off(names: Sequence[str], edges: Sequence[Edge], cut_off: Mapping[str, str]) -> Iterator[Finding]:
    beginnings = starts(names, edges) if cut_off else []
    for name in beginnings:
        if name in cut_off and len(beginnings) > 1:
            text = (
                f'Step "{name}" gets events as they enter the graph, since "{cut_off[name]}", which led to it, was '
                "removed; draw an arrow to it, or remove it too."
            )
            yield Finding(text, name, is_fault=False)


def _apart(names: Sequence[str], edges: Sequence[Edge], cut_off: Mapping[str, str]) -> Iterator[Finding]:
    """Beginnings that no arrow joins: each event takes all of these ways."""
    beginnings = [name for name in starts(names, edges) if name not in cut_off]
    if len(beginnings) < 2:
        return
    own = [edge for edge in edges if edge.source != WHOLE_GRAPH]
    backwards = [replace(edge, source=edge.target, target=edge.source) for edge in own]
    joined = successors(names, [*edges, *backwards], kinds=EdgeKind)
    together: set[str] = set()
    first: list[str] = []
    for name in beginnings:
        if name not in together:
            first.append(name)
            together |= reachable(joined, [name])
    if len(first) > 1:
        text = (
            f"Events enter at {' and at '.join(quoted(first))}, which no arrow joins; every event takes each of these "
            "ways. Where that is a slip, draw the arrow that is missing."
        )
        yield Finding(text, first[1], is_fault=False)


def quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]
