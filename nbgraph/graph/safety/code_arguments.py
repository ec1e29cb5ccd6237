"""The arguments of steps whose texts become code, as the class of a step declares them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.safety.expression import parsed
from nbgraph.graph.scope import Code, dotted
from nbgraph.handler import expressions_of

Check = Callable[[str, Sequence[str], str], None]  # (text, the names it is over, where it stands)


def check_arguments(kind: type, arguments: Mapping[str, Any], where: str, check: Check) -> None:
    """Look at every text of which the step will make code.

    >>> class Keep:
    ...     expressions = {"test": ("event",), "parts.test": ("event",)}
    ...     def __init__(self, test, parts=()): ...
    >>> check_arguments(Keep, {"*": ["event > 3", [{"test": "1"}]]}, "a", lambda text, names, where: print(where, text))
    a.*[0] event > 3
    a.*[1] 1
    """
    for argument, names in expressions_of(kind).items():
        name, *way = argument.split(".")
        for value, place in _given(kind, arguments, name):
            for found in _parts(value, way):
                _check_value(found, names, f"{where}.{place}", check)


def check_calls(text: str, kind_of: Callable[[str], type | None], where: str, check: Check) -> None:
    """The same for steps, and parts of them, that are made inside an argument's code."""
    nodes = list(ast.walk(parsed(text, where)))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        kind = kind_of(dotted(node) or "") if isinstance(node, ast.Name | ast.Attribute) else None
        if kind is not None and expressions_of(kind) and node not in called:
            raise GraphError(
                f"{where}: `{ast.unparse(node)}` is handed on, which would make code of any text; call it."
            )
        kind = kind_of(dotted(node.func) or "") if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Call) and kind is not None:
            given = {**{keyword.arg or "**": keyword.value for keyword in node.keywords}, "*": node.args}
            for argument, names in expressions_of(kind).items():
                name, *way = argument.split(".")
                for value, _ in _given(kind, given, name):
                    for found in _node_parts(value, way, where):
                        _check_node(found, names, where, check, bound)


def _given(kind: type, arguments: Mapping[str, Any], name: str) -> Iterator[tuple[Any, str]]:
    """What is given for an argument, by its name or at its place."""
    if name in arguments:
        yield arguments[name], name
    positional = arguments.get("*")
    if isinstance(positional, list):
        parameters = list(inspect.signature(kind).parameters)
        if name in parameters and parameters.index(name) < len(positional):
            place = parameters.index(name)
            yield positional[place], f"*[{place}]"


def _parts(value: Any, way: Sequence[str]) -> Iterator[Any]:
    """What the names lead to, in dicts and lists of them."""
    if not way:
        yield value
    elif isinstance(value, Mapping):
        yield from _parts(value.get(way[0]), way[1:])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item, way)
    elif isinstance(value, Code):
        yield from _node_parts(parsed(value.text, value.text).body, way, value.text)


def _node_parts(node: ast.expr, way: Sequence[str], where: str) -> Iterator[ast.expr]:
    if not way:
        yield node
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant):
                raise GraphError(f"{where}: found `{ast.unparse(node)}`; expected a dict whose keys are written out.")
            if key.value == way[0]:
                yield from _node_parts(value, way[1:], where)
    elif isinstance(node, ast.List | ast.Tuple):
        for item in node.elts:
            yield from _node_parts(item, way, where)


def _check_value(value: Any, names: Sequence[str], where: str, check: Check) -> None:
    if isinstance(value, Code):
        _check_node(parsed(value.text, where).body, names, where, check)
    elif isinstance(value, ast.expr):
        _check_node(value, names, where, check)
    elif isinstance(value, str):
        check(value, names, where)


def _check_node(node: ast.expr, names: Sequence[str], where: str, check: Check, bound: Collection[str] = ()) -> None:
    """A text that is put together would be evaluated without being looked at; a function is no text."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            check(node.value, names, where)
    elif not isinstance(node, ast.Lambda) and (dotted(node) is None or dotted(node) in bound):
        raise GraphError(
            f"{where}: found `{ast.unparse(node)}`; expected an expression as a text, or a function's name."
        )
