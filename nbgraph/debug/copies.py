"""Copies: what a debugger goes back to: values as they were, in which what is one object for the code stays that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from operator import is_
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from nbgraph.debug.snapshot import TooBigError, copied, size
from nbgraph.engine.plan import Plan
from nbgraph.errors import NbgraphError
from nbgraph.introspection import attribute

LARGEST = 100_000_000  # bytes, roughly, of one value
MOST = 1_000  # functions that are looked through, items of a container that code has in hand
PLAIN = (int, float, bool, str, bytes, complex, type(None))


class UncopiedError(NbgraphError):
    """A value can't be copied; the message says why."""


class Copies:
    """Copies values; what the steps' code has in hand by a name is the same object in each copy.

    >>> from nbgraph import Graph
    >>> missing = object()
    >>> copies = Copies(Graph("g").to(lambda body: missing)._graph.plan())
    >>> copy = copies.of({"a": [1], "b": missing})
    >>> copy["b"] is missing
    True
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._common = plan, dict[int, Any]()
        self.look_at(plan, is_new=True)

    def look_at(self, plan: Plan, *, is_new: bool = False) -> None:
        """Go by the code of this plan from now on."""
        if is_new or plan is not self._plan:
            self._plan = plan
            held = (one for step in plan.steps.values() for one in held_by(step.call.target))
            # what is used up by reading is no mark, whoever has it in hand
            self._common = {id(one): one for one in held if not issubclass(type(one), (*PLAIN, Iterator))}

    def of(self, value: Any) -> Any:
        """A copy; raises where that can't be had."""
        if type(value) in PLAIN:
            return value
        common = self._common
        if id(value) in common and type(value) in (dict, list, set, bytearray):  # it may be changed, and goes back
            common = {key: one for key, one in common.items() if one is not value}
        try:
            return copied(value, LARGEST, common)
        except TooBigError:
            raise UncopiedError(f"{type(value).__name__}, {size(value, 20 * LARGEST)}") from None
        except Exception as error:  # open files, locks, generators, objects that refuse it
            raise UncopiedError(f"{type(value).__name__}: {type(error).__name__}") from error

    def or_itself(self, value: Any) -> Any:
        """A copy, or the value itself where it can't be copied."""
        try:
            return self.of(value)
        except UncopiedError:
            return value


def is_unchanged(kept: Any, value: Any) -> bool:
    """Whether a copy is still what the value is, told for plain data only; another kind of number is a change.

    >>> is_unchanged({"a": [1]}, {"a": [1]}), is_unchanged({"a": [1]}, {"a": [True]})
    (True, False)
    """
    try:
        return _is_unchanged(kept, value)
    except RecursionError:
        return False


def _is_unchanged(kept: Any, value: Any) -> bool:
    if kept is value:
        return True
    kind = type(value)
    if type(kept) is not kind or kind not in (dict, list, tuple) or len(kept) != len(value):
        return False
    if kind is dict:
        return all(map(is_, kept, value)) and all(map(_is_unchanged, kept.values(), value.values()))
    return all(map(_is_unchanged, kept, value))


def held_by(target: Any) -> Iterator[Any]:
    """What a handler's code has in hand by a name: globals, what it closes over, attributes of these that it names."""
    waiting: list[Any] = [target]
    seen: set[int] = set()
    while waiting and len(seen) < MOST:
        function = _plain(waiting.pop())
        if id(function) in seen:
            continue
        seen.add(id(function))
        if isinstance(function, FunctionType):
            names = set(_names(function.__code__))
            found = list(_values(function, names))
            yield from (one for value in found for one in _with_parts(value, names))
            waiting += [value for value in found if _is_own(value, function)]
        elif isinstance(function, type) or not isinstance(function, ModuleType):
            kind = function if isinstance(function, type) else type(function)
            waiting += [one for base in kind.__mro__[:-1] for one in vars(base).values() if callable(one)]
            own = attribute(function, "__dict__", {}).items() if not isinstance(function, type) else ()
            yield from (one for name, one in own if name != "state")


def _plain(function: Any) -> Any:
    """The function inside of methods, partials and decorators."""
    while True:
        if isinstance(function, MethodType | classmethod | staticmethod):
            function = function.__func__
        elif isinstance(function, partial):
            function = function.func
        elif isinstance(function, FunctionType) and (wrapped := attribute(function, "__wrapped__")) is not None:
            function = wrapped
        else:
            return function


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _values(function: FunctionType, names: Iterable[str]) -> Iterator[Any]:
    yield from (function.__globals__[name] for name in names if name in function.__globals__)
    yield from function.__defaults__ or ()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue  # not filled yet


def _with_parts(value: Any, names: set[str]) -> Iterator[Any]:
    """The value; what a module, a class or an object has under these names; what a container holds."""
    yield value
    if isinstance(value, dict | list | tuple | set | frozenset):
        items = list(value.values()) if isinstance(value, dict) else list(value)
        yield from items if len(items) <= MOST else ()
    elif not isinstance(value, FunctionType):
        yield from (one for name, one in attribute(value, "__dict__", {}).items() if name in names)


def _is_own(value: Any, function: FunctionType) -> bool:
    """Whether it is a function or a class of the same module; what libraries do is theirs."""
    return isinstance(value, FunctionType | type) and value.__module__ == function.__module__
