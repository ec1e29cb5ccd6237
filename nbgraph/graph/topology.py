"""Topology: questions about who follows whom, answered without recursion in time linear in the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.types import EdgeKind

Successors = Mapping[str, list[str]]


def successors(names: Iterable[str], edges: Iterable[Edge], *, kinds: Iterable[EdgeKind]) -> dict[str, list[str]]:
    """Each step's next steps along edges of the given kinds.

    >>> successors(["a", "b"], [Edge("a", "b")], kinds=[EdgeKind.FLOW])
    {'a': ['b'], 'b': []}
    """
    following: dict[str, list[str]] = {name: [] for name in names}
    wanted = set(kinds)
    for edge in edges:
        if edge.kind in wanted and edge.source in following and edge.target in following:
            following[edge.source].append(edge.target)
    return following


def reaches(following: Successors, source: str, target: str) -> bool:
    """Whether a way leads from source to target (a step reaches itself)."""
    seen, waiting = {source}, [source]
    while waiting:
        name = waiting.pop()
        if name == target:
            return True
        fresh = [after for after in following[name] if after not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return False


def reachable(following: Successors, sources: Iterable[str]) -> set[str]:
    """All steps that some way leads to from the sources, the sources with them."""
    waiting = list(sources)
    seen = set(waiting)
    while waiting:
        fresh = [after for after in following[waiting.pop()] if after not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return seen


def order(names: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """The steps so that each stands behind those whose flow leads to it; else as they were given.

    >>> order(["c", "a", "b"], [Edge("a", "b"), Edge("b", "c")])
    ['a', 'b', 'c']
    """
    return sorted_steps(successors(names, edges, kinds=[EdgeKind.FLOW]))


def sorted_steps(following: Successors) -> list[str]:
    """The steps, each behind those that lead to it; without those on a cycle and all that follow one (Kahn 1962).

    >>> sorted_steps({"c": [], "a": ["b"], "b": ["c"]}), sorted_steps({"a": ["b"], "b": ["a"]})
    (['a', 'b', 'c'], [])
    """
    left = dict.fromkeys(following, 0)
    for after in following.values():
        for name in after:
            left[name] += 1
    found = [name for name, count in left.items() if count == 0]
    for reached in found:  # it grows meanwhile
        for name in following[reached]:
            left[name] -= 1
            if left[name] == 0:
                found.append(name)
    return found


def cycles(following: Successors) -> list[list[str]]:
    """Groups of steps that lie on a common cycle (Tarjan 1972, with an explicit stack), in a stable order.

    >>> cycles({"a": ["b"], "b": ["a"], "c": ["c"], "d": []})
    [['b', 'a'], ['c']]
    """
    if len(sorted_steps(following)) == len(following):  # most graphs: a third of the work
        return []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    groups: list[list[str]] = []
    for root in following:
        if root in index:
            continue
        work = [(root, 0)]
        while work:
            name, position = work.pop()
            if position == 0:
                index[name] = low[name] = len(index)
                path.append(name)
                on_path.add(name)
            after = following[name]
            if position and after[position - 1] in on_path:
                low[name] = min(low[name], low[after[position - 1]])
            while position < len(after) and after[position] in index:
                if after[position] in on_path:
                    low[name] = min(low[name], index[after[position]])
                position += 1
            if position < len(after):
                work += [(name, position + 1), (after[position], 0)]
            elif low[name] == index[name]:
                group = _unwind(path, on_path, name)
                if len(group) > 1 or name in after:
                    groups.append(group)
    return groups


def _unwind(path: list[str], on_path: set[str], name: str) -> list[str]:
    group: list[str] = []
    while not group or group[-1] != name:
        group.append(path.pop())
        on_path.discard(group[-1])
    return group


def starts(names: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Steps an event enters by: no flow leads to them and they handle no errors or alerts.

    A flow that only comes back from an error handler leads nowhere new: then it is the first step of the round.

    >>> starts(["a", "b", "c"], [Edge("a", "b"), Edge("b", "c", kind=EdgeKind.ERROR), Edge("c", "a")])
    ['a']
    """
    names, forward = list(names), [edge for edge in edges if edge.kind is not EdgeKind.CYCLE]
    entered = {edge.target for edge in forward}
    found = [name for name in names if name not in entered]
    handling = set(handlers(forward))
    if handling:
        kinds = [EdgeKind.FLOW, EdgeKind.ERROR]
        for group in map(set, cycles(successors(names, forward, kinds=kinds))):
            if not any(edge.target in group and edge.source not in group for edge in forward):
                found += [name for name in names if name in group and name not in handling][:1]
    return [name for name in names if name in found]


def ends(names: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Steps where the flow ends: nothing follows, and no error handler led there."""
    edges = list(edges)
    following = successors(names, edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
    main = reachable(following, starts(following, edges))
    return [name for name, after in following.items() if name in main and not after]


def handlers(edges: Iterable[Edge]) -> list[str]:
    """Names of the steps that handle errors, of a step or of the whole graph."""
    return [edge.target for edge in edges if edge.kind is EdgeKind.ERROR]


def is_whole_graph(edge: Edge) -> bool:
    return edge.kind is EdgeKind.ERROR and edge.source == WHOLE_GRAPH


# Ways: which steps lead to which, while arrows are drawn one by one.


class Reachability:
    """An arrow to a step that already leads to its source makes a cycle; errors lead somewhere too.

    >>> ways = Reachability()
    >>> ways.kind("a", "b"), ways.draw("a", "b", EdgeKind.FLOW), ways.kind("b", "a").value
    (<EdgeKind.FLOW: 'flow'>, None, 'cycle')
    """

    def __init__(self) -> None:
        self._following: dict[str, list[str]] = {}

    def kind(self, source: str, target: str) -> EdgeKind:
        """What a plain arrow between the two would be."""
        return EdgeKind.CYCLE if self._leads(target, source) else EdgeKind.FLOW

    def draw(self, source: str, target: str, kind: EdgeKind) -> None:
        if kind is not EdgeKind.CYCLE:
            self._following.setdefault(source, []).append(target)

    def _leads(self, source: str, target: str) -> bool:
        seen, waiting = {source}, [source]
        while waiting:
            name = waiting.pop()
            if name == target:
                return True
            fresh = [after for after in self._following.get(name, ()) if after not in seen]
            seen.update(fresh)
            waiting += fresh
        return False
