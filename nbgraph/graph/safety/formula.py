"""Formula: the function that the text of an expression means; in a loaded graph one that computes and no more."""

from __future__ import annotations

import ast
import builtins
import linecache
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any
from zlib import crc32

from nbgraph.errors import GraphError
from nbgraph.graph.safety.expression import SAFE_FUNCTIONS, check_safe

_EXCEPTIONS = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
SAFE_BUILTINS = {name: getattr(builtins, name) for name in SAFE_FUNCTIONS} | _EXCEPTIONS

_is_document: ContextVar[bool] = ContextVar("nbgraph_document", default=False)


@contextmanager
def steps_of(*, is_document: bool) -> Iterator[None]:
    """While a graph's steps are built: of a document's texts only the safe subset becomes code."""
    token = _is_document.set(is_document)
    try:
        yield
    finally:
        _is_document.reset(token)


def compiled(text: str, name: str, over: Sequence[str] | None = None) -> CodeType:
    """The code of an expression, of a function of these names where some are given; tracebacks show its text.

    >>> eval(compiled("1 + 1", "here")), eval(compiled("a + b", "here", ["a", "b"]))(1, 2)
    (2, 3)
    """
    try:
        text = text.strip()
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        text = f"({text}\n)"  # lines that only a bracket joins
        tree = ast.parse(text, mode="eval")
    if over is not None:
        arguments = ast.arguments([], [ast.arg(one) for one in over], defaults=[], kwonlyargs=[], kw_defaults=[])
        tree.body = ast.copy_location(ast.Lambda(arguments, tree.body), tree.body)
        ast.fix_missing_locations(tree)
    filename = f"<{name} {crc32(text.encode()):x}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    return compile(tree, filename, "eval")


def formula(text: str, names: Sequence[str], where: str) -> Callable[..., Any]:
    """The function, of these names, that an argument's text means.

    >>> formula("event + 1", ["event"], "Map")(2)
    3
    >>> with steps_of(is_document=True):
    ...     formula("open(event)", ["event"], "Map")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: Map: 'open(event)' calls "open"; the expressions of a loaded graph are limited to ...
    """
    if _is_document.get():
        check_safe(text, names, where)
        space: dict[str, Any] = {"__builtins__": SAFE_BUILTINS}
    else:
        space = {}
    try:
        function: Callable[..., Any] = eval(compiled(text, "expression", names), space)
        return function
    except SyntaxError as error:
        raise GraphError(f"{where} got {text!r}, which is not an expression: {error.msg}.") from None
