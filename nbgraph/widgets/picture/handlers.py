"""Handlers of a graph's steps, as the picture marks them: those that are missing, and those that were redefined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.errors import GraphError, NbgraphError
from nbgraph.graph.finding import Finding
from nbgraph.graph.graph import Graph
from nbgraph.render.printable import printable
from nbgraph.render.step_kind import resolved
from nbgraph.render.view import INNER

TEXT = 200  # characters of a reason


def missing(graph: Graph, around: tuple[Graph, ...] = (), path: str = "") -> Iterator[Finding]:
    """The steps whose handlers do not exist, those of inner graphs by their paths.

    Less than `check()` finds: it looks up names and nothing else, since live views do it after every cell.

    >>> graph = Graph("g")
    >>> _ = graph.to("Late", "late").to(str.upper)
    >>> [finding.step for finding in missing(graph)]
    ['late']
    """
    for step in graph.steps:
        inner = resolved(step, graph)
        if isinstance(inner, Graph) and inner is not graph and inner not in around:
            yield from missing(inner, (*around, graph), f"{path}{step.name}{INNER}")
        elif isinstance(inner, str) and inner.isidentifier():
            try:
                resolve(graph, step)
            except GraphError as error:
                yield Finding(_reason(str(error), step.name), f"{path}{step.name}")


def faults(graph: Graph) -> Iterator[Finding]:
    """All faults of steps that `check()` finds."""
    try:
        findings = graph.findings()
    except NbgraphError:  # a graph that is no graph at all says so where it is drawn
        return
    for one in findings:
        if one.is_fault and one.step and not one.target:
            yield Finding(_reason(one.text, one.step), one.step)


def by_id(findings: Iterable[Finding], ids: Mapping[str, str]) -> dict[str, str]:
    """The reasons by the steps' ids in a picture; of several the first."""
    reasons: dict[str, str] = {}
    for one in findings:
        if one.step in ids:
            reasons.setdefault(ids[one.step], printable(one.text, TEXT))
    return reasons


def _reason(text: str, step: str) -> str:
    """Without the step's name, beside which it stands."""
    return text.removeprefix(f'Step "{step}"').lstrip(": ")


class HandlerVersions:
    """The objects that the names in a graph mean, to be compared later.

    >>> scope = {"clean": str.strip}
    >>> graph = Graph.parse("%%graph g\\nclean -> respond", namespace=scope)
    >>> handlers = HandlerVersions(graph)
    >>> scope["clean"] = str.upper
    >>> handlers.changed(), handlers.changed()
    (['clean'], [])
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._seen = self._now()

    def changed(self) -> list[str]:
        """The steps whose name means another object than when this was last called."""
        before, self._seen = self._seen, self._now()
        return [name for name, handler in self._seen.items() if name in before and before[name] is not handler]

    def _now(self) -> dict[str, Any]:
        return {step.name: resolved(step, self._graph) for step in self._graph.steps if isinstance(step.handler, str)}
