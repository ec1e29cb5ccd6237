"""Lexer: the tokens of a cell, and its logical lines as Python splits them; strings are opaque."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
  | (?P<string>(?:[rRbBuUfF]{1,2})?(?:
        \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'))
  | (?P<arrow>->)
  | (?P<newline>\n)
  | (?P<space>(?:\\\r?\n|[^\S\n])+)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<word>\w+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text: `start` and `end` are offsets, `depth` counts the brackets around it."""

    kind: str
    text: str
    start: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """A logical line: the tokens of one statement, or of the head of a block."""

    tokens: tuple[Token, ...]
    is_indented: bool

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end

    @property
    def has_arrow(self) -> bool:
        return any(token.kind == "arrow" and not token.depth for token in self.tokens)


class Text:
    """A text with its places: line and column of an offset, both from 1."""

    def __init__(self, text: str, first_line: int = 1) -> None:
        self.text = text
        self._first = first_line
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        row = bisect_right(self._starts, offset) - 1
        return row + self._first, offset - self._starts[row] + 1

    def row(self, offset: int) -> int:
        """The number of the line in the text itself, from 0."""
        return bisect_right(self._starts, offset) - 1

    def line_text(self, offset: int) -> str:
        row = self.row(offset)
        return self.text[self._starts[row] :].partition("\n")[0]


def lines(text: str) -> Iterator[LogicalLine]:
    """The logical lines of a text, without comments and blank lines.

    >>> [[token.text for token in line.tokens] for line in lines('a -> [b,  # "->"\\n c]\\nx = "->"')]
    [['a', '->', '[', 'b', ',', 'c', ']'], ['x', '=', '"->"']]
    """
    found: list[Token] = []
    start_of_row = 0
    indented = False
    for token in _tokens(text):
        if token.kind == "newline" and not token.depth:
            if found:
                yield LogicalLine(tuple(found), indented)
            found = []
            start_of_row = token.end
        elif token.kind not in ("newline", "space", "comment"):
            if not found:
                indented = token.start > start_of_row
            found.append(token)
    if found:
        yield LogicalLine(tuple(found), indented)


def _tokens(text: str) -> Iterator[Token]:
    """Every token; the depth of a bracket is the depth outside of it."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "close":
            depth = max(0, depth - 1)
        yield Token(kind, match.group(), match.start(), match.end(), depth)
        if kind == "open":
            depth += 1
