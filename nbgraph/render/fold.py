"""Fold: functions and inner graphs as one node each, routers without their routes, for large graphs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nbgraph.render.step_kind import FOLD
from nbgraph.render.view import INNER, View, ViewLine, ViewNode


def foldable(view: View) -> list[str]:
    """The names of what can be folded: functions, inner graphs, and routers."""
    return [*view.functions, *(node.name for node in view.nodes if node.inner is not None or node.routes)]


def folded(view: View, names: Collection[str]) -> View:
    """The view with these functions, inner graphs and routers as single nodes; each step keeps an id, that of its fold.

    >>> from nbgraph.graph.graph import Graph
    >>> from nbgraph.render.view import view
    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip).to(str.upper, function="far").to(str.lower, function="far")
    >>> small = folded(view(graph), ["far"])
    >>> [(node.label, node.sublabel) for node in small.nodes], small.ids
    ([('strip', 'function'), ('far', '2 steps')], {'strip': 'n0', 'upper': 'fold0', 'lower': 'fold0'})
    """
    folds = {name: f"fold{number}" for number, name in enumerate(view.functions) if name in names}
    ids: dict[str, str] = {}
    nodes: dict[str, ViewNode] = {}
    for node in view.nodes:
        fold = folds.get(node.function or "")
        is_closed = (node.inner is not None or bool(node.routes)) and node.name in names
        ids[node.name] = fold or node.id
        if node.inner is not None and (fold or is_closed):
            ids |= {f"{node.name}{INNER}{path}": ids[node.name] for path in node.inner.paths()}
        if fold is None:
            nodes[node.id] = _closed(node) if is_closed else node
        elif fold not in nodes:
            nodes[fold] = _node(view, fold, node.function or "")
    where = {node.id: ids[node.name] for node in view.nodes}
    return replace(view, nodes=tuple(nodes.values()), lines=_lines(view, where), ids=ids)


def _closed(node: ViewNode) -> ViewNode:
    """An inner graph, or a router, as a plain step."""
    words = f"{len(node.routes)} route{'' if len(node.routes) == 1 else 's'}" if node.routes else node.sublabel
    return replace(node, inner=None, routes=(), sublabel=words)


def _node(view: View, id: str, function: str) -> ViewNode:
    inside = [node for node in view.nodes if node.function == function]
    words = f"{len(inside)} step{'' if len(inside) == 1 else 's'}"
    title = f"{function}: {', '.join(node.label for node in inside[:40])}"
    return ViewNode(id, function, function, words, FOLD, title, is_responder=any(node.is_responder for node in inside))


def _lines(view: View, where: dict[str, str]) -> tuple[ViewLine, ...]:
    """The lines between what is left; of several between the same two nodes one, without the words of one of them."""
    kept: dict[tuple[str, str, str], ViewLine] = {}
    for line in view.lines:
        source, target = where[line.source], where[line.target]
        if source == target and line.source != line.target:
            continue
        key = (source, target, line.kind)
        if key in kept:
            kept[key] = replace(kept[key], label="", title=f"{kept[key].title}; {line.title}"[:2000])
        else:
            kept[key] = replace(line, source=source, target=target)
    return tuple(kept.values())
