"""The picture of a graph as a widget syncs it, and the ids in it by the names of steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph
from nbgraph.render.fold import foldable, folded
from nbgraph.render.printable import printable
from nbgraph.render.svg import MARKS, picture
from nbgraph.render.view import INNER, view
from nbgraph.widgets.live.step_record import Figures, StepRecord

# The state of an inner graph: the first of these that one of its steps has.
BUSIEST = ("paused", "failed", "running", "waiting", "changed", "pinned", "done")


class SyncedPicture:
    """A graph as it was drawn: `data` for the front end, ids by the names that steps run under.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> drawn = SyncedPicture(graph, "LR")
    >>> drawn.ids, drawn.line("strip", "upper")
    ({'strip': 'n0', 'upper': 'n1'}, 'e0')
    """

    def __init__(self, graph: Graph, direction: str, closed: Collection[str] = (), *, first: str = "") -> None:
        whole = view(graph).by_function(first) if first else view(graph)
        self.foldable = foldable(whole)
        self.functions = {node.name: node.function for node in whole.nodes}
        shown = folded(whole, closed) if closed else whole
        self.ids = shown.paths()
        self.members: dict[str, list[str]] = {}  # names of steps by id: several where they are folded
        for name, id in self.ids.items():
            self.members.setdefault(id, []).append(name)
        self.names = {id: names[0] for id, names in self.members.items() if not id.startswith("fold")}
        self._groups = {node.id: self.names[node.id] for node in shown.all_nodes() if node.inner is not None}
        self._lines = {(line.source, line.target): line.id for line in shown.all_lines()}
        self.titles = {line.id: line.title for line in shown.all_lines()}
        steps = [
            {
                "id": node.id,
                "name": printable(node.name, 200),
                "type": node.kind,
                "path": printable(self.names.get(node.id, node.name), 200),
            }
            for node in shown.all_nodes()
            if node.kind != "any"
        ]
        lines = [{"id": line.id, "source": line.source, "target": line.target} for line in shown.all_lines()]
        self.data: dict[str, Any] = {
            "name": shown.name, "svg": "", "problem": "", "marks": MARKS, "steps": steps, "lines": lines,
            "folds": len(self.foldable), "isFolded": bool(closed),
        }  # fmt: skip
        if first:  # every step stands in the frame of a function
            self.data["functions"] = {f"f{number}": name for number, name in enumerate(shown.functions)}
            self.data["of"] = {node.id: node.function for node in shown.nodes}
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

    def steps(self, changed: Mapping[str, StepRecord], all: Mapping[str, StepRecord]) -> dict[str, Figures]:
        """Lines of a message by id; an inner graph is as its busiest step."""
        lines = {self.ids[name]: record.now() for name, record in changed.items() if name in self.ids}
        for id in {id for id, names in self.members.items() if len(names) > 1} | set(self._groups):
            names = [*self.members[id], *self._inside(id, all)]
            if any(name in changed for name in names):
                lines[id] = _together([all[name].now() for name in names if name in all])
        return lines

    def _inside(self, id: str, all: Mapping[str, StepRecord]) -> list[str]:
        """The names of the steps of an inner graph that is drawn open."""
        path = self._groups.get(id)
        return [] if path is None else [name for name in all if name.startswith(f"{path}{INNER}")]


def _together(lines: list[Figures]) -> Figures:
    """One line for several steps: the state of the busiest, the most events, all errors."""
    states = {line.state for line in lines}
    state = next((state for state in BUSIEST if state in states), "idle")
    return Figures(
        state,
        events=max(line.events for line in lines),
        errors=sum(line.errors for line in lines),
        rate=max(line.rate for line in lines),
        level=max(line.level for line in lines),
    )
