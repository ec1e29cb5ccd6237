"""Arguments of MLRun's and Storey's classes, translated for nbgraph's counterparts."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.mlrun.classes import PACKAGES, home_of, translation_of
from nbgraph.graph.naming import is_dotted
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.scope import Code
from nbgraph.graph.signature import misfit
from nbgraph.handler import Counterpart, expressions_of

# What MLRun's engine passes to a class or asks of it; an empty value can be dropped.
ENGINE_ONLY = frozenset([
    "long_running", "pass_context", "context", "inputs", "outputs", "recovery_step", "name", "termination_result_fn",
    "fn_select_outlets", "augmentation_fn", "graph_step", "model_endpoint_uid",
])  # fmt: skip  # a set that reads better in rows
OPTIONS = ("full_event", "input_path", "result_path", "max_iterations")  # of the step, wherever they are written
WORDS = {  # values of enumerations, by their numbers
    "EmitPeriod.FIRST": "first",
    "EmitPeriod.LAST": "last",
    "FixedWindowType.CurrentOpenWindow": "current",
    "FixedWindowType.LastClosedWindow": "last_closed",
}
PREFIX = "_"  # a text under such a name is the name of a function
TABLE = "table"
OWN_TABLE = "."  # the table of the feature set itself


class Arguments:
    """Translates the arguments of one spec's steps; tables that it names are in `tables` or in the namespace."""

    def __init__(self, admission: Admission, tables: Mapping[str, Any]) -> None:
        self._admission, self._scope, self._tables = admission, admission.scope, tables

    def of(self, kind: type, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The arguments of an MLRun or Storey class, for its counterpart.

        >>> from nbgraph.graph.facade import library
        >>> from nbgraph.graph.scope import Scope
        >>> read = Arguments(Admission(Scope(is_document=True, library=library())), {})
        >>> read.of(library()["Filter"], {"_fn": "(event > 3)", "long_running": None}, "steps.a.class_args")
        {'fn': '(event > 3)'}
        """
        counterpart = translation_of(kind)
        arguments: dict[str, Any] = dict(counterpart.preset)
        for name, value in given.items():
            bare = name.removeprefix(PREFIX) if isinstance(value, str) else name
            value, place = plain(value), f"{where}.{name}"
            if is_unused(counterpart, bare, value, kind):
                continue
            ours = counterpart.renamed.get(bare, bare)
            if (own := known_as(counterpart, bare)) is not None:
                raise GraphError(f'{place}: "{bare}" is called "{own}" in MLRun, which ignores it under this name.')
            if bare in counterpart.numbered:
                value = counterpart.numbered[bare].get(value, value)
            elif bare in counterpart.keys:
                value = key_of(value, is_text=name == bare and bare != "key_path", where=place)
            elif name != bare:
                value = self._function(value, bare, expressions_of(kind), place)
            elif ours == TABLE or (ours == "initial_state" and isinstance(value, str) and given.get("group_by_key")):
                value = self._table(value, place)
            if home_of(value).startswith(PACKAGES):
                raise GraphError(
                    f"{place}: found an object of {home_of(value)}, which {kind.__name__} does not take; leave it "
                    "out, and set nbgraph's own on the step once the graph is built."
                )
            arguments[ours] = value
        return arguments

    def own(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The arguments of a user's class: a text under `_name` is a function."""
        arguments: dict[str, Any] = {}
        for name, value in given.items():
            if isinstance(value, str) and name.startswith(PREFIX):
                arguments[name.removeprefix(PREFIX)] = self._function(value, name, {}, f"{where}.{name}")
            elif name not in ENGINE_ONLY or (value is not None and value is not False):
                arguments[name] = plain(value)
        return arguments

    def check(self, kind: Callable[..., Any], named: Mapping[str, Any], where: str) -> None:
        """Check the arguments against the signature of the class."""
        try:
            known = inspect.signature(kind).parameters
        except (TypeError, ValueError):
            return
        takes_any = any(one.kind is one.VAR_KEYWORD for one in known.values())
        strange = next((name for name in named if name not in known and not takes_any), None)
        given = {**dict.fromkeys(("context", "name", "routes")), **named}
        fitting = [name for name in given if name in named or name in known]
        if fault := misfit(kind, [], fitting, body=False):
            raise GraphError(f"{where}{f'.{strange}' if strange else ''}: {fault}")

    def _function(self, text: str, name: str, expressions: Mapping[str, Any], where: str) -> Any:
        """An expression in parentheses, else the name of a function."""
        if is_dotted(text):
            return self._admission.code(text, where)
        if not text.lstrip().startswith("("):
            raise GraphError(f"{where}: found {text!r}; expected an expression in parentheses, or a function's name.")
        return text if name in expressions else self._admission.code(f"lambda event: {text}", where)

    def _table(self, value: Any, where: str) -> Any:
        if not isinstance(value, str):
            return value
        if value in self._tables:
            return self._tables[value]
        if value.isidentifier() and self._scope.gives(value):
            return Code(value)
        if value == OWN_TABLE:
            return None
        raise GraphError(f'{where}: there is no table "{value}" here; pass it: tables={{"{value}": Table(...)}}.')


def known_as(counterpart: Counterpart, name: str) -> str | None:
    """MLRun's name of an argument, where nbgraph's is given: MLRun's steps ignore arguments that they do not know.

    >>> known_as(Counterpart("Batch", {"key_field": "key"}), "key")
    'key_field'
    """
    if name in counterpart.renamed:
        return None
    return next((theirs for theirs, ours in counterpart.renamed.items() if ours == name), None)


def is_unused(counterpart: Counterpart, name: str, value: Any, kind: Callable[..., Any]) -> bool:
    """Whether an argument asks for nothing that nbgraph's class would have to do."""
    if name in counterpart.unused:
        return value is None or value in counterpart.unused[name]
    if name in ENGINE_ONLY:
        return value is None or value is False or name == "name"
    if value is not None or counterpart.renamed.get(name, name) not in inspect.signature(kind).parameters:
        return value is None
    return True  # None is MLRun's default, so nbgraph's default applies


def options_among(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The step options among a class's arguments."""
    yield from ((name, given[name]) for name in OPTIONS if given.get(name) is not None)


def plain(value: Any) -> Any:
    """A value of an enumeration as nbgraph's word for it."""
    if isinstance(value, Enum):
        return WORDS.get(f"{type(value).__name__}.{value.name}", value.value)
    return value


def key_of(value: Any, *, is_text: bool, where: str) -> Any:
    """A key in nbgraph's form: a field's name, a list of them, "$key"; `event['x']` is the field x.

    >>> key_of("event['card']", is_text=False, where=""), key_of("card", is_text=True, where="")
    ('card', 'card')
    >>> key_of("event.id", is_text=False, where=""), key_of("event.key", is_text=False, where="")
    (None, '$key')
    """
    if isinstance(value, list | tuple | None) or (is_text and isinstance(value, str) and value[:1] not in "$("):
        return value
    if value == "$key":
        return value
    if isinstance(value, str) and (found := _read(value)) is not None:
        return found[0]
    raise GraphError(
        f"{where}: found {value!r}; expected the name of a field of the body, a list of them, or the event's own key, "
        '"$key". Compute any other key into the body in a step before.'
    )


def _read(text: str) -> tuple[str | None] | None:
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None
    match node:
        case ast.Subscript(
            value=ast.Name(id="event") | ast.Attribute(value=ast.Name(id="event"), attr="body"),
            slice=ast.Constant(value=str() as name),
        ):
            return (name,)
        case ast.Attribute(value=ast.Name(id="event"), attr="id"):
            return (None,)
        case ast.Attribute(value=ast.Name(id="event"), attr="key"):
            return ("$key",)
    return None
