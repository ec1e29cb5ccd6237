"""Reader: splits the text of a cell into arrow lines, declarations and plain Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from dataclasses import dataclass

from nbgraph.graph.language.arrow_line import ArrowLine, ItemKind, language_error, read_arrow_line
from nbgraph.graph.language.lexer import LogicalLine, Text, lines

_DECLARES = re.compile(r"\w+\s*=\s*[\w.]+\s*\(")


@dataclass(frozen=True, slots=True)
class Declaration:
    """`enrich = Enrich(table=customers)`: a name, and the call that says what the step is."""

    name: str
    call: ast.Call
    source: str  # the text of the call
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell holds, each part in its order; `python` are the logical lines that are neither."""

    text: Text
    arrow_lines: tuple[ArrowLine, ...]
    declarations: tuple[Declaration, ...]
    python: tuple[LogicalLine, ...]
    spans: tuple[tuple[int, int], ...]  # where the arrow lines stand

    @property
    def wired(self) -> set[str]:
        """Bare names that arrow lines mention."""
        return {item.text for line in self.arrow_lines for item in line.items if item.kind is ItemKind.NAME}

    def python_text(self, declared: Collection[Declaration]) -> str:
        """The text without its arrow lines and the given declarations; what stays keeps its place."""
        text = self.text.text
        for start, end in (*self.spans, *((item.offset, item.end) for item in declared)):
            text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
        return text


def read_cell(source: str, first_line: int = 1) -> Cell:
    """The parts of a cell's text.

    >>> cell = read_cell('def f(x) -> int:\\n    return 1\\nslow = Slow(2)\\nf -> slow')
    >>> len(cell.arrow_lines), [item.name for item in cell.declarations], sorted(cell.wired), len(cell.python)
    (1, ['slow'], ['f', 'slow'], 2)
    """
    text = Text(source, first_line)
    arrow_lines: list[ArrowLine] = []
    declarations: list[Declaration] = []
    python: list[LogicalLine] = []
    spans: list[tuple[int, int]] = []
    for line in _joined(list(lines(source)), text):
        if _is_wiring(line):
            _refuse_nested(line, python, text)
            arrow_lines.append(read_arrow_line(line, text))
            spans.append((line.start, line.end))
        elif (declaration := _declaration(line, text)) is not None:
            declarations.append(declaration)
        else:
            python.append(line)
    return Cell(text, tuple(arrow_lines), tuple(declarations), tuple(python), tuple(spans))


def _is_wiring(line: LogicalLine) -> bool:
    """Only `def` has an arrow of its own in Python; `!` and `%` begin a command of the notebook."""
    return line.has_arrow and line.tokens[0].text not in ("def", "async", "!", "%", "?")


def _joined(found: list[LogicalLine], text: Text) -> list[LogicalLine]:
    """Arrow lines that go on in the next line become one."""
    whole: list[LogicalLine] = []
    for line in found:
        if whole and _goes_on(whole[-1], line, text):
            whole[-1] = LogicalLine((*whole[-1].tokens, *line.tokens), whole[-1].is_indented)
        else:
            whole.append(line)
    return whole


def _goes_on(before: LogicalLine, line: LogicalLine, text: Text) -> bool:
    """Whether a line continues the one before: that ends in an arrow, or this begins with one right below it."""
    if _is_wiring(before) and before.tokens[-1].kind == "arrow":
        return True
    if line.tokens[0].kind != "arrow" or before.tokens[0].kind == "arrow":
        return False
    is_adjacent = text.row(line.start) == text.row(before.end) + 1
    if _is_wiring(before):
        return is_adjacent or line.is_indented
    return is_adjacent and len(before.tokens) == 1 and before.tokens[0].kind in ("word", "string")


def _refuse_nested(line: LogicalLine, python: list[LogicalLine], text: Text) -> None:
    """Arrow lines stand at the top of a cell: a graph does not depend on `if` or `for`."""
    if line.is_indented and python and python[-1].tokens[-1].text == ":":
        raise language_error(text, line.start, "found an arrow line inside a block; expected it at the top level.")


def _declaration(line: LogicalLine, text: Text) -> Declaration | None:
    source = text.text[line.start : line.end]
    if line.is_indented or not _DECLARES.match(source):
        return None
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # compiling it as Python reports the error
    match tree.body:
        case [ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name() | ast.Attribute()))]:
            written = source[source.index("=") + 1 :].strip()
            call = ast.parse(written, mode="eval").body
            assert isinstance(call, ast.Call)
            return Declaration(name, call, written, line.start, line.end)
    return None
