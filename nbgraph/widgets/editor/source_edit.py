"""Written: the text a person wrote for a graph, changed only in the lines that an edit touched."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nbgraph.errors import NbgraphError
from nbgraph.graph.documents.argument import step_text
from nbgraph.graph.edge import Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.language.arrow_line import ArrowLine
from nbgraph.graph.language.header import header_text
from nbgraph.graph.language.language import calls_of
from nbgraph.graph.language.reader import Cell, Declaration, read_cell
from nbgraph.graph.language.wiring import Wiring
from nbgraph.graph.step import Step

Change = tuple[int, int, str]  # from, to, what stands there now


def rewritten(written: str, graph: Graph) -> str:
    """The text for the graph as it is now: the written one with its comments and order, where it can say so.

    >>> graph = Graph.parse("%%graph g\\na -> b -> respond")
    >>> print(rewritten("%%graph g\\n# first things first\\na -> b  # why\\nb -> c", graph))
    %%graph g
    # first things first
    a -> b  # why
    b -> respond
    """
    if written:
        try:
            text = _Manuscript(written, graph).text()
            if _is_same(Graph.parse(text, namespace=graph.scope.namespace), graph):
                return text
        except NbgraphError:
            pass  # it holds what a builder can't change, such as Python: the graph's own text is right in any case
    return graph.source()


def ordered(graph: Graph, text: str) -> Graph:
    """The same graph, its steps and arrows in the order that its text gives them."""
    like = Graph.parse(text, namespace=graph.scope.namespace)
    steps = {step.name: number for number, step in enumerate(like.steps)}
    edges = {edge: number for number, edge in enumerate(like.edges)}
    if steps.keys() != {step.name for step in graph.steps} or edges.keys() != set(graph.edges):
        return graph
    return _assembled(
        graph,
        sorted(graph.steps, key=lambda step: steps[step.name]),
        sorted(graph.edges, key=lambda edge: edges[edge]),
        graph.responders,
    )


def without_python(header: str, cell: str) -> str:
    """The text of a cell as a graph's: functions and values that it defines stay in the notebook.

    >>> print(without_python("%%graph g", "def f(x):\\n    # half\\n    return x / 2\\n\\n# the way\\nf -> g  # on"))
    %%graph g
    # the way
    f -> g  # on
    """
    read = read_cell(cell)
    wired = read.wired
    loose = [(one.offset, one.end) for one in read.declarations if one.name not in wired]
    for start, end in sorted([*((line.start, line.end) for line in read.python), *loose], reverse=True):
        start, end = _row(cell, start, end)
        cell = cell[:start] + cell[end:]
    rows = re.sub(r"^[ \t]+#.*\n", "", cell, flags=re.MULTILINE)  # a comment inside of a function
    return f"{header}\n" + re.sub(r"\n{3,}", "\n\n", rows).strip("\n") + "\n"


class _Manuscript:
    """The written text, read beside the graph that it has to become."""

    def __init__(self, written: str, graph: Graph) -> None:
        self._graph = graph
        self._new = {step.name: step for step in graph.steps}
        self._cell: Cell = read_cell(written.partition("\n")[2], first_line=2)
        self._wiring = Wiring(self._cell.text, calls_of(graph.scope))
        self._declared = {one.name: self._wiring.declare(one).name for one in self._cell.declarations}
        self._edges: set[Edge] = set()  # what the lines that are kept say
        self._steps: set[str] = set()
        self._answers: set[str] = set()

    def text(self) -> str:
        """Header, and the body with its changes made from the end to the beginning."""
        drawn = [(line, span, self._synced(line)) for line, span in self._placed()]
        gone = [span for _, span, (edges, steps, answers) in drawn if not self._is_kept(edges, steps, answers)]
        changes = [change for one in self._cell.declarations if (change := self._declaration(one)) is not None]
        rest = self._rest()
        changes += [(*span, rest if number == 0 else "") for number, span in enumerate(gone)]
        body = self._cell.text.text
        for start, end, text in sorted(changes, reverse=True):
            start, end = (start, end) if text else _row(body, start, end)
            body = body[:start] + text + body[end:]
        if rest and not gone:
            body = f"{body.rstrip()}\n{rest}\n" if body.strip() else f"{rest}\n"
        return f"{header_text(self._graph)}\n{body.rstrip()}\n"

    def _placed(self) -> Iterable[tuple[ArrowLine, tuple[int, int]]]:
        return zip(self._cell.arrow_lines, self._cell.spans, strict=True)

    def _synced(self, line: ArrowLine) -> tuple[list[Edge], list[str], list[str]]:
        """What one line adds: arrows, steps, who answers."""
        wiring = self._wiring
        edges, steps, answers = set(wiring.edges), set(wiring.steps), wiring.responders
        wiring.draw(line)
        new = [name for name in wiring.steps if name not in steps]
        return (
            [edge for edge in wiring.edges if edge not in edges],
            new,
            [name for name in wiring.responders if name not in answers],
        )

    def _is_kept(self, edges: list[Edge], steps: list[str], answers: list[str]) -> bool:
        """Whether the graph still has all that a line says; what is declared is said elsewhere."""
        declared = set(self._declared.values())
        made = all(self._new.get(name) == self._wiring.steps[name] for name in steps if name not in declared)
        if not made or not set(edges) <= set(self._graph.edges):
            return False
        if not set(answers) <= set(self._graph.responders):
            return False
        if not {name for name in steps if name in declared} <= self._new.keys():
            return False
        self._edges |= set(edges)
        self._steps |= {*steps, *(name for edge in edges for name in (edge.source, edge.target))}
        self._answers |= set(answers)
        return True

    def _declaration(self, one: Declaration) -> Change | None:
        name = self._declared[one.name]
        step = self._new.get(name)
        if step is None:
            return (one.offset, one.end, "")
        self._steps.add(name)
        if step == self._wiring.steps.get(name):
            return None
        return (one.offset, one.end, f"{one.name} = {step_text(step)}")

    def _rest(self) -> str:
        """Lines for the arrows and steps that no kept line tells of."""
        edges = [edge for edge in self._graph.edges if edge not in self._edges]
        responders = [name for name in self._graph.responders if name not in self._answers]
        ends = dict.fromkeys(name for edge in edges for name in (edge.source, edge.target))
        names = dict.fromkeys([*ends, *(name for name in self._new if name not in self._steps)])
        names |= dict.fromkeys(responders)
        steps = [self._plain(name) for name in names if name in self._new]
        return _assembled(self._graph, steps, edges, responders).source().partition("\n")[2].rstrip()

    def _plain(self, name: str) -> Step:
        """A step that is written out elsewhere is only named."""
        return Step(name, name) if name in self._steps else self._new[name]


def _row(body: str, start: int, end: int) -> tuple[int, int]:
    """The whole row of a part that goes, its comment too."""
    stop = body.find("\n", end)
    return body.rfind("\n", 0, start) + 1, len(body) if stop < 0 else stop + 1


def _is_same(one: Graph, other: Graph) -> bool:
    """Whether two graphs differ in the order of their parts at most."""
    return one.name == other.name and _sorted(one) == _sorted(other)


def _sorted(graph: Graph) -> Graph:
    steps = sorted(graph.steps, key=lambda step: step.name)
    return _assembled(graph, steps, sorted(graph.edges, key=_key), sorted(graph.responders))


def _key(edge: Edge) -> tuple[str, ...]:
    return edge.source, edge.target, edge.kind.value, str(edge.when), str(edge.otherwise)


def _assembled(like: Graph, steps: Iterable[Step], edges: Iterable[Edge], responders: Iterable[str]) -> Graph:
    return Graph.assemble(
        like.name, steps, edges, scope=like.scope, responders=responders, max_iterations=like.max_iterations,
        error_stream=like.error_stream,
        copy=like.copy, protocol=like.protocol,
    )  # fmt: skip
