"""Edges that are watched: their names, who they are, which lies before which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbgraph.engine.plan import Plan
from nbgraph.errors import GraphError
from nbgraph.graph.finding import meant
from nbgraph.monitor.monitor import ALL, MODELS, Monitor
from nbgraph.steps.models.server import ModelServer
from nbgraph.steps.routers.router import Router

Ends = tuple[str, str]  # source and target; one of both is empty where events enter or leave


def name_of(ends: Ends) -> str:
    """How an edge is called.

    >>> name_of(("clean", "score")), name_of(("", "clean")), name_of(("score", ""))
    ('clean -> score', '-> clean', 'score ->')
    """
    return f"{ends[0]} -> {ends[1]}".strip()


def ends_of(name: str) -> Ends:
    """Source and target of an edge, by its name.

    >>> ends_of("clean -> score"), ends_of("-> clean")
    (('clean', 'score'), ('', 'clean'))
    """
    source, _, target = name.partition("->")
    return source.strip(), target.strip()


def edges_of(plan: Plan) -> list[Ends]:
    """All edges that callers' events go along, each behind those that lead to it."""
    found: dict[Ends, None] = {("", start): None for start in plan.starts}
    waiting, seen = list(plan.starts), set(plan.starts)
    for name in waiting:  # it grows meanwhile
        step = plan.steps[name]
        targets = [arrow.target for arrow in step.arrows]
        found |= {(name, target): None for target in targets or [""]}
        fresh = [one for one in dict.fromkeys([*targets, *(one.target for one in step.handlers)]) if one not in seen]
        seen.update(fresh)
        waiting += fresh
    return list(found)


def watched_edges(plan: Plan, monitor: Monitor) -> list[Ends]:
    """The edges that a monitor means."""
    edges = edges_of(plan)
    if monitor.at == ALL:
        return edges
    if monitor.at == MODELS:
        models = {name for name, step in plan.steps.items() if isinstance(step.call.target, ModelServer | Router)}
        return [ends for ends in edges if models & set(ends)]
    return [ends for ends in edges if any(_means(name, ends) for name in _names(monitor))]


def refuse_unknown(plan: Plan, monitor: Monitor) -> None:
    """An error for a step or edge that a monitor names and the graph does not have."""
    known: dict[str, Any] = dict.fromkeys([*plan.steps, *map(name_of, edges_of(plan))])
    for name in _names(monitor):
        if name not in (ALL, MODELS) and name not in known and not any(_means(name, ends_of(one)) for one in known):
            raise GraphError(f'The monitor names "{name}", which is no step and no edge.{meant(name, known)}')


def fields_at(monitor: Monitor, ends: Ends) -> Sequence[str] | None:
    """The fields of an edge that a monitor names; None where it names none."""
    for name, fields in (monitor.fields or {}).items():
        if ("->" in name and ends_of(name) == ends) or name == ends[1]:
            return fields
    return None


def before(edges: Iterable[str]) -> Mapping[str, set[str]]:
    """The edges that lie before each edge, on some way to it; those of a cycle lie not before themselves."""
    names = list(edges)
    into: dict[str, list[str]] = {}
    for name in names:
        if target := ends_of(name)[1]:  # where events leave, nothing is behind
            into.setdefault(target, []).append(name)
    found: dict[str, set[str]] = {}
    for name in names:
        seen: set[str] = set()
        waiting = [ends_of(name)[0]]
        while waiting:
            for one in into.get(waiting.pop(), ()):
                if one not in seen and one != name:
                    seen.add(one)
                    waiting.append(ends_of(one)[0])
        found[name] = seen
    return found


def _means(name: str, ends: Ends) -> bool:
    return ends_of(name) == ends if "->" in name else name in ends


def _names(monitor: Monitor) -> list[str]:
    return [monitor.at] if isinstance(monitor.at, str) else list(monitor.at)
