"""Fault: which steps of a graph can't run as they are, and why, for the picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

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

    Less than `check()` finds: it looks up names and nothing else, since live views ask after every cell.

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


def found(graph: Graph) -> Iterator[Finding]:
    """All that `check()` finds in steps."""
    try:
        findings = graph.findings()
    except NbgraphError:  # a graph that is no graph at all says so where it is drawn
        return
    for one in findings:
        if one.is_fault and one.step and not one.target:
            yield Finding(_reason(one.text, one.step), one.step)


def by_id(findings: Iterable[Finding], ids: Mapping[str, str]) -> dict[str, str]:
    """The reasons by the steps' ids in a drawing; of several the first."""
    reasons: dict[str, str] = {}
    for one in findings:
        if one.step in ids:
            reasons.setdefault(ids[one.step], printable(one.text, TEXT))
    return reasons


def _reason(text: str, step: str) -> str:
    """Without the step's name, beside which it stands."""
    return text.removeprefix(f'Step "{step}"').lstrip(": ")
