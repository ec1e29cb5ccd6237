"""Spec: the graph that a trace tells of, as far as it can be told, and read without importing what it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.documents.decode import read_graph
from nbgraph.graph.documents.document import outline
from nbgraph.graph.edge import Condition
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import is_dotted
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.scope import Scope
from nbgraph.graph.step import Handled


def outlined(graph: Graph) -> dict[str, Any] | None:
    """The graph as plain data; what has no text is told as such. None where nothing can be told."""
    try:
        return outline(graph)
    except GraphError:
        return None


def unbound(document: Mapping[str, Any], scope: Scope) -> Graph | None:
    """The graph of a trace, to be looked at: what may not be loaded stays a text, which nothing runs."""
    try:
        return read_graph(document, scope)
    except GraphError:
        try:
            return read_graph(document, scope, admit=Unbound)
        except GraphError:
            return None


class Unbound(Admission):
    """Admits what it must not bind as a text: a dotted name that no loaded graph may import, else no Python at all."""

    def handler(self, text: str, where: str) -> Handled:
        try:
            return super().handler(text, where)
        except GraphError:
            return text if is_dotted(text) else _inert(text)

    def code(self, text: str, where: str) -> Any:
        try:
            return super().code(text, where)
        except GraphError:
            return _inert(text)

    def condition(self, text: str, where: str) -> Condition:
        try:
            return super().condition(text, where)
        except GraphError:
            return _inert(text)

    def arguments(self, handler: Any, arguments: Mapping[str, Any], where: str) -> None:
        try:
            super().arguments(handler, arguments, where)
        except GraphError:
            assert isinstance(arguments, dict)
            for name, value in arguments.items():
                arguments[name] = _inert(value) if isinstance(value, str) else value

    def exception(self, text: str, where: str) -> type[BaseException]:
        try:
            return super().exception(text, where)
        except GraphError:
            return Exception


def _inert(text: str) -> str:
    return text if text.startswith("<") else f"<{text}>"
