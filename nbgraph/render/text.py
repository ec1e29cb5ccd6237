"""Text: a graph as a readable outline, for a terminal, a screen reader, a front end without pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nbgraph.graph.graph import Graph
from nbgraph.render.view import View, ViewNode, view


def outline(graph: Graph, *, status: Mapping[str, str] | None = None) -> str:
    """The graph in words, a step a line with its arrows beneath.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper).respond()
    >>> print(outline(graph))
    Graph shout: 2 steps, upper answers
    strip: function
      -> upper
    upper: function, answers
    """
    shown = view(graph)
    answering = [node.label for node in shown.nodes if node.is_responder]
    verb = "answers" if len(answering) == 1 else "answer"
    answers = f", {' and '.join(answering)} {verb}" if answering else ""
    count = len(graph.steps)
    head = f"Graph {shown.name}: {count} step{'' if count == 1 else 's'}{answers}"
    return "\n".join([head, *_lines(shown, status or {}, "")])


def _lines(shown: View, status: Mapping[str, str], indent: str) -> Iterator[str]:
    labels = {node.id: node.label for node in shown.nodes}
    for node in shown.nodes:
        yield f"{indent}{node.label}: {_words(node, status.get(node.name, ''))}"
        for name, words in node.routes:
            yield f"{indent}  * {name}{': ' if words else ''}{words}"
        if node.inner is not None:
            yield from _lines(node.inner, {}, f"{indent}  | ")
        for line in shown.lines:
            if line.source == node.id:
                back = "back to " if line.kind == "cycle" else ""
                yield f"{indent}  -> {back}{labels[line.target]}{' ' if line.label else ''}{line.label}"


def _words(node: ViewNode, state: str) -> str:
    parts = [
        node.sublabel or "an error that no step handles",
        f"in {node.function}" if node.function else "",
        "answers" if node.is_responder else "",
        state,
    ]
    return ", ".join(part for part in parts if part)
