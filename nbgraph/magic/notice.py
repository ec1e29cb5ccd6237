"""Notices: the findings shown below a graph until it can run; each disappears once it is fixed."""

from __future__ import annotations

from typing import Any

from nbgraph.graph.finding import Finding
from nbgraph.graph.graph import Graph

MOST = 50  # lists that are kept up to date, the newest


class Notices:
    """Shows the findings of a graph, and updates them after each cell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._shown: list[tuple[Graph, Any, str]] = []

    def show(self, graph: Graph) -> None:
        text = notice(graph)
        if not text:
            return
        if getattr(self._shell, "kernel", None) is None:
            print(text)
            return
        from IPython.display import display

        handle = display(_plain(text), raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types for it
        self._shown = [*self._shown[-MOST:], (graph, handle, text)]

    def renew(self, *_: object) -> None:
        """Update the lists: defining a missing step in another cell shortens or removes them."""
        kept = []
        for graph, handle, shown in self._shown:
            if (text := notice(graph)) != shown:
                handle.update(_plain(text), raw=True)
            if text:
                kept.append((graph, handle, text))
        self._shown = kept


def notice(graph: Graph) -> str:
    """The faults and probable mistakes of a graph, each with its place in the cell; empty if there are none.

    >>> graph = Graph("g")
    >>> _ = graph.to("clen")
    >>> print(notice(graph).partition(";")[0])
    Before g can run:
      - Step "clen": handler "clen" is neither defined here nor a built-in step
    """
    parts = []
    for heading, is_fault in ((f"Before {graph.name} can run:", True), (f"Look again at {graph.name}:", False)):
        lines = [f"  - {located(graph, one)}" for one in graph.findings() if one.is_fault is is_fault]
        parts += ["\n".join([heading, *lines])] if lines else []
    return "\n".join(parts)


def located(graph: Graph, finding: Finding) -> str:
    """The message, preceded by its line and column in the cell."""
    place = graph.places.get((finding.step, finding.target)) or graph.places.get((finding.step, ""))
    return f"line {place[0]}, column {place[1]}: {finding.text}" if place else finding.text


def _plain(text: str) -> dict[str, str]:
    return {"text/plain": text}
