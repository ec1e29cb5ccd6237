"""Language: the text of a `%%graph` cell becomes a graph, and a graph that text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection

from nbgraph.errors import GraphError, LanguageError
from nbgraph.graph.builder import OPENAI
from nbgraph.graph.graph import Graph
from nbgraph.graph.language.arrow_line import language_error
from nbgraph.graph.language.foreign_arrow import foreign_arrow_of
from nbgraph.graph.language.header import ROUTES, Header, read_header
from nbgraph.graph.language.reader import Cell, Declaration, read_cell
from nbgraph.graph.language.step_call import Calls
from nbgraph.graph.language.wiring import Wiring
from nbgraph.graph.language.writer import source
from nbgraph.graph.routes.routing import routes_of
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.scope import Scope

__all__ = ["build", "calls_of", "parse", "source"]
BOM = "\ufeff"  # the byte order mark that some editors write
_FIRST = re.compile(r"\s*^(?P<indent>[^\S\n]*)%%graph(?=\s|$)(?P<rest>[^\n]*)", re.MULTILINE)


def parse(text: str, scope: Scope) -> Graph:
    """The graph of a text, its `%%graph NAME` line included.

    >>> graph = parse('%%graph fraud\\nclean -> score\\nscore -> alert if event["p"] > 0.9', Scope(is_document=True))
    >>> graph.edges[1].when
    'event["p"] > 0.9'

    The text is a document, not a program: it holds arrow lines and declarations only.
    """
    text = text.removeprefix(BOM)
    first = _FIRST.match(text)
    if first is None:
        line = text.strip().partition("\n")[0]
        raise LanguageError(f"found {line!r}; expected `%%graph NAME`, and the graph below it.", 1, 1, line)
    body = text[first.end() :].removeprefix("\n")
    cell = read_cell(textwrap.dedent(body) if first["indent"] else body, first_line=2)
    try:
        header = read_header(first["rest"], calls_of(scope))
    except GraphError as error:
        raise LanguageError(str(error), 1, len("%%graph ") + 1, f"%%graph{first['rest']}") from None
    _refuse_python(cell)
    return build(cell, header, scope, cell.declarations)


def build(
    cell: Cell, header: Header, scope: Scope, declared: Collection[Declaration], *, is_checked: bool = False
) -> Graph:
    """The graph of a cell's arrow lines; the declarations given are steps, every other name is bound late."""
    wiring = Wiring(cell.text, calls_of(scope))
    for declaration in declared:
        wiring.declare(declaration)
    for line in cell.arrow_lines:
        wiring.draw(line)
    if is_checked:
        wiring.check()
    _check_api(wiring, cell, header)
    graph = Graph.assemble(
        header.name,
        wiring.steps.values(),
        wiring.edges,
        scope=scope,
        responders=wiring.responders,
        max_iterations=header.max_iterations,
        error_stream=header.error_stream,
        copy=header.copy,
        protocol=OPENAI if header.api == OPENAI else None,
        watched=header.watched,
    )
    graph.places = wiring.places
    return graph


def _check_api(wiring: Wiring, cell: Cell, header: Header) -> None:
    """The first line tells whether callers enter by routes."""
    route = next((item for line in cell.arrow_lines for item in line.items if item.route is not None), None)
    if route is not None and header.api is None:
        expected = f"a graph with routes says so in its first line: `%%graph {header.name} --api`."
        message = f"found the route {route.text}; {expected}"
        raise language_error(cell.text, route.offset, message)
    if header.api == ROUTES and not routes_of(wiring.steps.values()):
        message = "--api says that the graph has routes, and no line begins with one: `GET /users/{id} -> load`."
        raise LanguageError(message, 1, 1, f"%%graph {header.name} --api")


def calls_of(scope: Scope) -> Calls:
    """The reader of calls whose names are looked up in the scope."""
    return Calls(Admission(scope), lambda text: parse(text, scope))


def _refuse_python(cell: Cell) -> None:
    if cell.python:
        line = cell.python[0]
        if (slip := foreign_arrow_of(line)) is not None:
            raise language_error(cell.text, slip.offset, slip.message)
        written = cell.text.line_text(line.start).strip()
        message = (
            f"found `{written}`; expected an arrow line (`a -> b`) or a declaration (`a = Step(...)`). "
            "A text that is loaded holds no other Python: put it into the notebook."
        )
        raise language_error(cell.text, line.start, message)
    wired = cell.wired
    for declaration in cell.declarations:
        if declaration.name not in wired:
            message = f'"{declaration.name}" is declared but no arrow mentions it; wire it, or take it out.'
            raise language_error(cell.text, declaration.offset, message)
