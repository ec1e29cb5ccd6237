"""Changed: which steps' functions were defined anew since they were last looked at."""

from __future__ import annotations

from typing import Any

from nbgraph.graph.graph import Graph
from nbgraph.render.step_kind import resolved


class HandlerVersions:
    """The objects that the names in a graph meant.

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
        """The steps whose name means another object than at the last look."""
        before, self._seen = self._seen, self._now()
        return [name for name, handler in self._seen.items() if name in before and before[name] is not handler]

    def _now(self) -> dict[str, Any]:
        return {step.name: resolved(step, self._graph) for step in self._graph.steps if isinstance(step.handler, str)}
