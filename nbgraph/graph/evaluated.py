"""Evaluated: the places among a step's arguments where the step takes a text for an expression."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.code import Code
from nbgraph.graph.expression import parsed
from nbgraph.graph.spelling import dotted

NAMES = frozenset({"event", "state"})  # what such an expression is over
_ARGUMENTS = frozenset(["fn", "predicate", "aggr_filter", "event_processor"])
_FIRST = {  # the first place that is an expression, where arguments are given without names
    "Map": 0, "Filter": 0, "FlatMap": 0, "ForEach": 0, "Extend": 0, "Partition": 0, "Choice": 0, "Reduce": 1,
    "MapWithState": 1, "Concurrent": 0, "FieldAggregator": 4,
}  # fmt: skip
Check = Callable[[str, str], None]


def check_arguments(handler: Any, arguments: Mapping[str, Any], where: str, check: Check) -> None:
    """Look at every text that the step will evaluate.

    >>> check_arguments("Filter", {"*": ["event > 3"], "key": "(x"}, "steps.a", lambda text, where: print(where, text))
    steps.a.*[0] event > 3
    """
    for name, value in arguments.items():
        if name == "*" and isinstance(value, list):
            for place, item in enumerate(value[_first(handler) :], _first(handler)):
                _check_value(item, f"{where}.*[{place}]", check)
        elif _is_expression(name):
            _check_value(value, f"{where}.{name}", check)
        else:
            for text in _filters(value):
                _check_value(text, f"{where}.{name}", check)


def check_calls(text: str, where: str, check: Check) -> None:
    """The same for steps, and parts of them, that are made inside an argument's code."""
    for node in ast.walk(parsed(text, where)):
        if isinstance(node, ast.Call):
            for value in _evaluated(node):
                _check_node(value, where, check)


def _evaluated(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args[_first(dotted(call.func)) :]
    yield from (keyword.value for keyword in call.keywords if keyword.arg is None or _is_expression(keyword.arg))


def _filters(value: Any) -> Iterator[Any]:
    """The filters of aggregates that are written as plain data."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _filters(item)
    elif isinstance(value, dict):
        yield from (item for key, item in value.items() if key == "aggr_filter")


def _is_expression(name: str) -> bool:
    return name in _ARGUMENTS or name.endswith("_expression")


def _first(handler: Any) -> int:
    """The first place of an expression; behind all places for what takes none."""
    kinds = (
        [kind.__name__ for kind in handler.__mro__] if isinstance(handler, type) else [str(handler).rpartition(".")[2]]
    )
    return next((_FIRST[kind] for kind in kinds if kind in _FIRST), 1_000)


def _check_value(value: Any, where: str, check: Check) -> None:
    if isinstance(value, Code):
        _check_node(parsed(value.text, where).body, where, check)
    elif isinstance(value, str):
        check(value, where)


def _check_node(node: ast.expr, where: str, check: Check) -> None:
    """A text that is put together would be evaluated without being looked at; a function is no text."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            check(node.value, where)
    elif not isinstance(node, ast.Lambda) and dotted(node) is None:
        raise GraphError(
            f"{where}: found `{ast.unparse(node)}`; expected an expression as a text, or a function's name."
        )
