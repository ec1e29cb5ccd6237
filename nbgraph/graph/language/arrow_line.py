"""ArrowLine: one arrow line as data: `a -> [b, c@audit] -> Batch(10) if event["x"] max 3`."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from nbgraph.errors import GraphError, LanguageError, RouteError
from nbgraph.graph.language.lexer import LogicalLine, Text, Token
from nbgraph.graph.routes.route import Route
from nbgraph.types import EdgeKind

RESPOND = "respond"
FORBID = "forbid"  # behind a route: its callers are refused
_OCCASIONS = (EdgeKind.ERROR, EdgeKind.ALERT)
_ENDINGS = tuple(("on", kind.value) for kind in _OCCASIONS)
JOINT = "(event)"  # the identity step that merges several arrows before `respond`


class ItemKind(Enum):
    """The kinds of items between arrows."""

    NAME = "name"  # clean, json.dumps
    TEXT = "text"  # "a:b"
    CALL = "call"  # Batch(10)
    EXPRESSION = "expression"  # (event + 1)
    GRAPH = "graph"  # *
    RESPOND = "respond"
    ROUTE = "route"  # GET /users/{id}
    FORBID = "forbid"


@dataclass(frozen=True, slots=True)
class ArrowItem:
    """One thing between arrows; `offset` is where it stands in the text."""

    kind: ItemKind
    text: str
    offset: int
    function: str | None = None
    call: ast.Call | None = None
    route: Route | None = None


@dataclass(frozen=True, slots=True)
class ArrowLine:
    """An arrow line: groups of items, each sending to the next; the condition and the limit of the last arrow.

    `broken` has the numbers of the groups that stand on another line than the arrow before them or the group before
    that.
    """

    groups: tuple[tuple[ArrowItem, ...], ...]
    offset: int
    condition: str | None = None
    condition_offset: int = 0
    otherwise: bool = False
    kind: EdgeKind | None = None
    limit: int | None = None
    broken: frozenset[int] = frozenset()

    @property
    def items(self) -> tuple[ArrowItem, ...]:
        return tuple(item for group in self.groups for item in group)


def read_arrow_line(line: LogicalLine, text: Text) -> ArrowLine:
    """The arrow line that a logical line with arrows holds.

    >>> from nbgraph.graph.language.lexer import lines
    >>> cell = 'a -> b if event["x"] max 3'
    >>> line = read_arrow_line(next(lines(cell)), Text(cell))
    >>> [item.text for item in line.items], line.condition, line.limit
    (['a', 'b'], 'event["x"]', 3)
    """
    return _ArrowReader(line.tokens, text).arrow_line()


class _ArrowReader:
    """Reads the tokens of one line from left to right."""

    def __init__(self, tokens: Sequence[Token], text: Text) -> None:
        self.tokens, self.text, self.at = tokens, text, 0

    def arrow_line(self) -> ArrowLine:
        offset = self.tokens[0].start
        groups: list[tuple[ArrowItem, ...]] = []
        broken: set[int] = set()
        if self._peek("->"):
            self.at += 1
            groups.append(())
        groups.append(self._group() if groups or not self._is_route() else (self._route(),))
        while self._peek("->"):
            if self._is_broken():
                broken.add(len(groups))
            self.at += 1
            groups.append(self._group())
        if len(groups) < 2:
            raise self._error("an arrow `->`")
        return replace(self._ending(groups, offset), broken=frozenset(broken))

    def _is_route(self) -> bool:
        """Whether the line begins with a method, or `*`, and a path."""
        first, after = self.tokens[0], self.tokens[1:2]
        is_apart = bool(after) and after[0].start > first.end
        return is_apart and after[0].text == "/" and (first.text == "*" or first.kind == "word")

    def _route(self) -> ArrowItem:
        """`POST /orders/{id} {"amount": "$.amount!"}`: method, path, and what the graph gets of the body."""
        method, begin = self._take(), self.tokens[1].start
        self.at += 1
        while self.at < len(self.tokens) and self.tokens[self.at].start == self.tokens[self.at - 1].end:
            self.at += 1
        path = self.text.text[begin : self.tokens[self.at - 1].end]
        body = self._body() if self._peek("{") else None
        try:
            route = Route(method.text, path, body=body)
        except (GraphError, RouteError) as error:
            raise language_error(self.text, method.start, str(error)) from None
        return ArrowItem(ItemKind.ROUTE, route.name, method.start, self._at_function(), route=route)

    def _body(self) -> Any:
        start = self.tokens[self.at].start
        source = self.text.text[start : self._closing()]
        try:
            return ast.literal_eval(self._parsed(source, start))
        except ValueError:
            raise self._error_at(start, f"found `{source}`", 'names and places, `{"amount": "$.amount!"}`') from None

    def _at_function(self) -> str | None:
        return self._function() if self._peek_take("@") else None

    def _peek_take(self, text: str) -> bool:
        found = self._peek(text)
        self.at += found
        return found

    def _is_broken(self) -> bool:
        """Whether the line ends beside the arrow here; a line break inside brackets or strings does not count."""
        around = self.tokens[self.at - 1 : self.at + 2]
        return "\n" in self.text.text[around[0].end : around[-1].start]

    def _ending(self, groups: list[tuple[ArrowItem, ...]], offset: int) -> ArrowLine:
        kind: EdgeKind | None = None
        condition, condition_offset, otherwise = None, 0, False
        if self._peek("cycle") or self._peek("flow"):  # keywords that an arrow at this place would read as a step
            kind = EdgeKind(self._take().text)
        elif self._peek("on"):
            kind = self._occasion()
            condition, condition_offset = self._caught() if kind is EdgeKind.ERROR else (None, 0)
        if self._peek("if") and kind not in _OCCASIONS:
            self.at += 1
            condition, condition_offset = self._condition()
            if self._peek("on"):
                kind = self._occasion()
                if kind is EdgeKind.ERROR:
                    raise self._error("the exceptions that it is for: `a -> b on error ValueError`, without `if`")
        if self._peek("else"):
            offset_of_else = self._take().start
            otherwise = True
            if self._peek("if"):
                raise self._error_at(
                    offset_of_else, "found `else if`", "`if`, which the arrow alone decides, or `else`"
                )
        limit = self._limit()
        if self.at < len(self.tokens):
            raise self._error("an arrow `->`, `if`, `else`, `on error`, `on alert`, `max` or the end of the line")
        return ArrowLine(tuple(groups), offset, condition, condition_offset, otherwise, kind, limit)

    def _occasion(self) -> EdgeKind:
        """`on error`, or `on alert`."""
        self.at += 1
        kind = next((one for one in _OCCASIONS if self._peek(one.value)), None)
        if kind is None:
            raise self._error("`error` or `alert`, as in `a -> b on error`")
        self.at += 1
        return kind

    def _group(self) -> tuple[ArrowItem, ...]:
        if not self._peek("["):
            return (self._item(),)
        opened = self._take()
        items: list[ArrowItem] = []
        while not self._peek("]"):
            if self.at < len(self.tokens):
                items.append(self._item())
            if self.at >= len(self.tokens):
                raise self._error_at(opened.start, 'this "[" is never closed', 'a list of steps, such as "[a, b]"')
            if self._peek(","):
                self.at += 1
            elif not self._peek("]"):
                raise self._error('"," or "]"')
        self.at += 1
        if not items:
            raise self._error_at(opened.start, "found an empty list", 'at least one step, such as "[a, b]"')
        return tuple(items)

    def _item(self) -> ArrowItem:
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if token is None:
            raise self._error("a step")
        if token.text == "*":
            self.at += 1
            return ArrowItem(ItemKind.GRAPH, "*", token.start)
        item = self._step(token)
        if self._peek("@"):
            self.at += 1
            item = ArrowItem(item.kind, item.text, item.offset, self._function(), item.call)
        elif item.kind is ItemKind.NAME and item.text == RESPOND:
            return ArrowItem(ItemKind.RESPOND, RESPOND, item.offset)
        elif item.kind is ItemKind.NAME and item.text == FORBID and self._is_behind_route():
            return ArrowItem(ItemKind.FORBID, FORBID, item.offset)
        return item

    def _is_behind_route(self) -> bool:
        return self.at == len(self.tokens) and len(self.tokens) > 1 and self._is_route()

    def _step(self, token: Token) -> ArrowItem:
        if token.kind == "string":
            self.at += 1
            return ArrowItem(ItemKind.TEXT, self._literal(token), token.start)
        if token.text == "(":
            return ArrowItem(ItemKind.EXPRESSION, self._expression(), token.start)
        if token.kind == "word" and token.text.isidentifier() and not keyword.iskeyword(token.text):
            return self._name_or_call()
        hint = " (a name that is no identifier stands in quotes)" if token.kind in ("word", "other") else ""
        raise self._error(f"a step{hint}")

    def _name_or_call(self) -> ArrowItem:
        first = self._take()
        end = first.end
        while self._peek(".") and self.at + 1 < len(self.tokens) and self.tokens[self.at + 1].kind == "word":
            end = self.tokens[self.at + 1].end
            self.at += 2
        name = "".join(self.text.text[first.start : end].split())
        if not self._peek("("):
            return ArrowItem(ItemKind.NAME, name, first.start)
        end = self._closing()
        source = self.text.text[first.start : end]
        tree = self._parsed(source, first.start)
        if not isinstance(tree, ast.Call):
            raise self._error_at(first.start, f"found `{source}`", "a call, such as `Batch(10)`")
        return ArrowItem(ItemKind.CALL, source, first.start, call=tree)

    def _expression(self) -> str:
        start = self.tokens[self.at].start
        source = self.text.text[start : self._closing()]
        self._parsed(source, start)
        return source

    def _closing(self) -> int:
        """Skip to the bracket that closes the one here, and return where it ends."""
        opened = self.tokens[self.at]
        for number in range(self.at + 1, len(self.tokens)):
            if self.tokens[number].kind == "close" and self.tokens[number].depth == opened.depth:
                self.at = number + 1
                return self.tokens[number].end
        raise self._error_at(opened.start, f'this "{opened.text}" is never closed', "its closing bracket")

    def _function(self) -> str:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == "string" or (token.kind == "word" and token.text.isidentifier()):
                self.at += 1
                return self._literal(token) if token.kind == "string" else token.text
        raise self._error("the name of a function, as in `report@reporting`")

    def _condition(self) -> tuple[str, int]:
        rest = self.tokens[self.at :]
        if len(rest) > 2 and rest[-2].text == "max" and rest[-1].text.isdecimal() and not rest[-2].depth:
            rest = rest[:-2]
        if len(rest) > 2 and (rest[-2].text, rest[-1].text) in _ENDINGS and not rest[-2].depth:
            rest = rest[:-2]
        if (
            len(rest) > 1 and rest[-1].text == "else" and not rest[-1].depth
        ):  # `if x or else`: also where no other condition held
            rest = rest[:-1]
        if not rest:
            raise self._error('a condition, such as `event["p"] > 0.9`')
        for token in rest:
            if token.kind == "arrow" and not token.depth:
                expected = "the end of the line; wire what follows on a line of its own"
                raise self._error_at(token.start, "found `->` behind a condition", expected)
        self.at += len(rest)
        start = rest[0].start
        source = self.text.text[start : rest[-1].end]
        tree = self._parsed(source, start)
        if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
            return tree.value, start  # a quoted condition: one that would not parse unquoted
        return source, start

    def _caught(self) -> tuple[str | None, int]:
        """The names of exceptions behind `on error`, `ValueError | requests.Timeout`; None for all."""
        begin = self.at
        if self.at < len(self.tokens) and self.tokens[self.at].kind == "string":
            token = self._take()
            return self._literal(token), token.start
        while self.at < len(self.tokens) and (self.tokens[self.at].text in "|." or self._is_name()):
            self.at += 1
        found = self.tokens[begin : self.at]
        return (self.text.text[found[0].start : found[-1].end], found[0].start) if found else (None, 0)

    def _is_name(self) -> bool:
        token = self.tokens[self.at]
        return token.kind == "word" and token.text not in ("if", "else", "max") and token.text.isidentifier()

    def _limit(self) -> int | None:
        if not self._peek("max"):
            return None
        self.at += 1
        if self.at < len(self.tokens) and self.tokens[self.at].text.isdecimal():
            return int(self._take().text)
        raise self._error("a whole number, as in `max 3`")

    def _literal(self, token: Token) -> str:
        tree = self._parsed(token.text, token.start)
        value = tree.value if isinstance(tree, ast.Constant) else None
        if not isinstance(value, str) or not value:
            raise self._error_at(token.start, f"found {token.text}", 'a plain text that is not empty, such as "a:b"')
        return value

    def _parsed(self, source: str, start: int) -> ast.expr:
        try:
            return ast.parse(source, mode="eval").body
        except SyntaxError as error:
            row, column = (error.lineno or 1) - 1, (error.offset or len(source) + 1) - 1  # 0 is the end
            before = sum(len(line) + 1 for line in source.split("\n")[:row])
            offset = min(start + before + column, start + len(source))
            raise self._error_at(offset, f"{error.msg} in `{source}`", "Python") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise self._error_at(
                start, f"{error or type(error).__name__}", "Python that is less deeply nested"
            ) from None

    def _peek(self, text: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at].text == text

    def _take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def _error(self, expected: str) -> LanguageError:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            return self._error_at(token.start, f"found `{token.text}`", expected)
        return self._error_at(self.tokens[-1].end, "the line ends here", expected)

    def _error_at(self, offset: int, found: str, expected: str) -> LanguageError:
        return language_error(self.text, offset, f"{found}; expected {expected}.")


def language_error(text: Text, offset: int, message: str) -> LanguageError:
    """An error with line, column and the line itself."""
    return LanguageError(message, *text.place(offset), text.line_text(offset))
