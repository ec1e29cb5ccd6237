"""Drawn: the picture of a graph as a widget syncs it, and the way from names of steps to what stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph
from nbgraph.render.group import MARKS
from nbgraph.render.printable import printable
from nbgraph.render.svg import picture
from nbgraph.render.view import INNER, view
from nbgraph.widgets.record import Record

BUSIEST = (
    "paused",
    "failed",
    "running",
    "waiting",
    "changed",
    "pinned",
    "done",
)  # of its steps, what an inner graph shows


class Drawn:
    """A graph as it was drawn: `data` for the front end, ids by the names that steps run under.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> drawn = Drawn(graph, "LR")
    >>> drawn.ids, drawn.line("strip", "upper")
    ({'strip': 'n0', 'upper': 'n1'}, 'e0')
    """

    def __init__(self, graph: Graph, direction: str) -> None:
        shown = view(graph)
        self.ids = shown.paths()
        self.names = {id: name for name, id in self.ids.items()}
        self._groups = {node.id: self.names[node.id] for node in shown.all_nodes() if node.inner is not None}
        self._lines = {(line.source, line.target): line.id for line in shown.all_lines()}
        self.titles = {line.id: line.title for line in shown.all_lines()}
        steps = [
            {"id": node.id, "name": printable(node.name, 200), "type": node.kind}
            for node in shown.all_nodes()
            if node.kind != "any"
        ]
        lines = [{"id": line.id, "source": line.source, "target": line.target} for line in shown.all_lines()]
        self.data: dict[str, Any] = {
            "name": shown.name, "svg": "", "problem": "", "marks": MARKS, "steps": steps, "lines": lines
        }  # fmt: skip
        try:
            self.data["svg"] = picture(shown, prefix="nbg", direction=direction)
        except NbgraphError as error:  # no engine, or a picture that it can't lay out: say so where it would stand
            self.data["problem"] = str(error)

    def line(self, source: str, target: str) -> str | None:
        """The line an event took between two steps: where it crosses the border of an inner graph, the line there."""
        sources, targets = source.split(INNER), target.split(INNER)
        level = 0
        while level < min(len(sources), len(targets)) - 1 and sources[level] == targets[level]:
            level += 1
        names = INNER.join(sources[: level + 1]), INNER.join(targets[: level + 1])
        return self._lines.get((self.ids.get(source, ""), self.ids.get(target, ""))) or self._lines.get(
            (self.ids.get(names[0], ""), self.ids.get(names[1], ""))
        )

    def steps(self, changed: Mapping[str, Record], all: Mapping[str, Record]) -> dict[str, tuple[Any, ...]]:
        """Lines of a message by id; an inner graph is as its busiest step."""
        lines = {self.ids[name]: record.now() for name, record in changed.items() if name in self.ids}
        for id, path in self._groups.items():
            if any(name.startswith(f"{path}{INNER}") for name in changed):
                inner = [record.now() for name, record in all.items() if name.startswith(f"{path}{INNER}")]
                states = {line[0] for line in inner}
                state = next((state for state in BUSIEST if state in states), "idle")
                lines[id] = (state, max(line[1] for line in inner), sum(line[2] for line in inner), 0, 0, "")
        return lines
