"""Binding: the names and expressions of a graph become the objects they refer to."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from nbgraph import steps
from nbgraph.errors import GraphError
from nbgraph.graph.edge import Condition
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import attribute_of, object_of
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.safety.formula import SAFE_BUILTINS, compiled, steps_of
from nbgraph.graph.scope import Code, Scope
from nbgraph.graph.step import Step

# Builtins that a loaded document may call; a graph of the notebook may call any.
SAFE_HANDLERS = frozenset(
    [
        "abs", "all", "any", "ascii", "bin", "bool", "bytes", "chr", "dict", "divmod", "float", "format",
        "frozenset", "hash", "hex", "int", "len", "list", "max", "min", "oct", "ord", "pow", "range",
        "repr", "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip", "enumerate",
    ]
)  # fmt: skip  # a set that reads better in rows


class UnboundError(GraphError):
    """A name of the spec is not defined."""


class BuiltinNames(Mapping[str, Any]):
    """The built-in steps, as a fallback for names that the notebook does not define."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace

    def __getitem__(self, name: str) -> Any:
        if name in self._namespace:
            raise KeyError(name)  # the notebook's name wins: Python looks there next
        return steps.catalogue()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(steps.catalogue())

    def __len__(self) -> int:
        return len(steps.catalogue())


def is_expression(handler: Any) -> bool:
    """Whether a handler is an expression: `"(event + 1)"`."""
    return isinstance(handler, str) and handler.lstrip().startswith("(")


def resolve(graph: Graph, step: Step) -> Any:
    """The object that a step's handler names, unbuilt: a function, class or instance; the function of an expression."""
    handler = step.handler
    if not isinstance(handler, str):
        return handler
    where = f'Step "{step.name}"'
    if is_expression(handler):
        Admission(graph.scope).handler(handler, where)  # also if it was not among the document's handlers
        return function_of(handler, graph.scope)
    try:
        found = named(handler, graph.scope)
    except UnboundError as error:
        raise UnboundError(f"{where}: {error}") from None
    Admission(graph.scope).inside(found, handler, where)
    return found


def named(name: str, scope: Scope, *, exceptions: bool = False) -> Any:
    """The object that a name refers to: the notebook's, else a built-in step, a builtin, an allowed module's."""
    if "." in name:
        return _dotted(name, scope)
    if scope.gives(name):
        return scope.namespace[name]
    if name in steps.catalogue():
        return steps.catalogue()[name]
    if hasattr(builtins, name) and (exceptions or not scope.is_document or name in SAFE_HANDLERS):
        return getattr(builtins, name)
    known = [key for key in (*scope.namespace, *steps.catalogue()) if not key.startswith("_")]
    close = get_close_matches(name, known, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    raise UnboundError(
        f'handler "{name}" is neither defined here nor a built-in step; define it, or correct the name.{hint}'
    )


def _dotted(name: str, scope: Scope) -> Any:
    module_name, _, attribute = name.rpartition(".")
    given = scope.namespace.get(attribute.rpartition(".")[2])
    if f"{getattr(given, '__module__', '')}.{getattr(given, '__qualname__', '')}" == name:
        return given
    root, *rest = name.split(".")
    found = scope.namespace.get(root) if scope.gives(root) else None
    is_closed = scope.is_document and (isinstance(found, types.ModuleType) or any(part[:1] == "_" for part in rest))
    if found is not None and not is_closed:
        with _named_handler():
            return attribute_of(found, rest, name)
    if not scope.allows(module_name):
        raise UnboundError(
            f'handler "{name}" is in module "{module_name}", which a loaded graph may not import; '
            f'allow it: allow=["{module_name}"].'
        )
    with _named_handler():
        return object_of(name)


@contextmanager
def _named_handler() -> Iterator[None]:
    try:
        yield
    except GraphError as error:
        raise UnboundError(f"handler {error}") from error.__cause__


def value_of(argument: Any, scope: Scope, where: str) -> Any:
    """The value of an argument; `Code` is evaluated in the notebook, also inside lists and dicts.

    A value without `Code` stays the same object, since steps may share it.
    """
    if isinstance(argument, Code):
        admitted = Admission(scope).code(argument.text, where) if scope.is_document else argument
        return evaluate(admitted.text, scope, where) if isinstance(admitted, Code) else admitted
    if type(argument) is dict:
        values = {key: value_of(value, scope, where) for key, value in argument.items()}
        return argument if all(values[key] is value for key, value in argument.items()) else values
    if type(argument) in (list, tuple):
        items = [value_of(value, scope, where) for value in argument]
        is_same = all(new is old for new, old in zip(items, argument, strict=True))
        return argument if is_same else type(argument)(items)
    return argument


def evaluate(text: str, scope: Scope, where: str, over: Sequence[str] | None = None) -> Any:
    """The value of an expression in the notebook; a function of the names in `over`."""
    namespace = _globals(text, scope)
    try:
        with steps_of(is_document=scope.is_document):
            return eval(compiled(text, where, over), namespace, BuiltinNames(namespace))
    except Exception as error:
        raise GraphError(f"{where}: {text!r} can't be evaluated: {type(error).__name__}: {error}") from error


def _globals(text: str, scope: Scope) -> dict[str, Any]:
    """The globals of an expression: of a document's, only the names it mentions and harmless builtins."""
    if not scope.is_document:
        return scope.namespace if isinstance(scope.namespace, dict) else dict(scope.namespace)
    given = {name: scope.namespace[name] for name in names_in(text) if scope.gives(name)}
    return {"__builtins__": SAFE_BUILTINS, **given}


def names_in(text: str) -> set[str]:
    """The names that an expression mentions.

    >>> sorted(names_in("event > limit"))
    ['event', 'limit']
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def function_of(text: str, scope: Scope) -> Callable[[Any], Any]:
    """The function of an expression over `event`, the body.

    >>> function_of("(event + 1)", Scope())(2)
    3
    """
    function: Callable[[Any], Any] = evaluate(text, scope, "expression", ["event"])
    return function


def predicate_of(when: Condition, scope: Scope) -> Callable[[Any], Any]:
    """The function of a condition: an expression, `Code` that names a predicate, or the predicate itself."""
    if isinstance(when, Code):
        predicate: Callable[[Any], Any] = value_of(when, scope, "condition")
        return predicate
    return function_of(when, scope) if isinstance(when, str) else when


def is_self_contained(text: str, scope: Scope) -> bool:
    """Whether an expression reads nothing but `event` and builtins, so that it can be inlined anywhere.

    >>> is_self_contained("len(event) > 3", Scope()), is_self_contained("event > limit", Scope({"limit": 3}))
    (True, False)
    """
    tree = ast.parse(text.strip(), mode="eval")
    names = {node for node in ast.walk(tree) if isinstance(node, ast.Name)}
    binds = any(isinstance(node, ast.Lambda | ast.comprehension | ast.NamedExpr) for node in ast.walk(tree))
    built_in = SAFE_BUILTINS if scope.is_document else vars(builtins)
    known = all(name.id == "event" or (name.id in built_in and name.id not in scope.namespace) for name in names)
    return known and not binds and not any(mark in text for mark in "\n#")
