"""Copies of values, as they were at one moment: snapshots for frames, exact copies to go back to.

The snapshot of a value that is too big, or can't be copied, is a marked preview. An exact copy shares the objects that
the steps' code refers to by name.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from operator import is_
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

from nbgraph.engine.plan import Plan
from nbgraph.errors import NbgraphError
from nbgraph.introspection import attribute, has_attribute, preview
from nbgraph.streams.codec.values import DICTS

BUDGET = 1_000_000  # bytes, roughly, that one snapshot may take
DEEPEST = 40  # levels that are copied here; `deepcopy` does the rest
LARGEST = 100_000_000  # bytes, roughly, of one exact copy
MOST = 1_000  # functions inspected, items of a container that code refers to
PLAIN = (int, float, bool, str, bytes, complex, type(None))

_NUMBERS = frozenset({int, float, bool, type(None), complex})


def snapshot(value: Any, budget: int = BUDGET) -> Any:
    """A copy that is independent of later changes to the value, or a Preview.

    >>> before = {"a": [1]}
    >>> kept = snapshot(before)
    >>> before["a"].append(2)
    >>> kept
    {'a': [1]}
    """
    if type(value) in _NUMBERS:
        return value
    try:
        return _StateCopier(budget).copy(value, 0)
    except TooBigError:
        return preview(value, f"{size(value, 20 * budget)}, more than the {budget:,} that are kept")
    except Exception as error:  # open files, locks, sockets, objects that refuse to be copied
        return preview(value, f"it can't be copied ({type(error).__name__})")


def _exact_copy(value: Any, budget: int, shared: Mapping[int, Any]) -> Any:
    """A copy in which the `shared` objects, by id, are themselves; raises what copying raises, or a TooBigError."""
    return _StateCopier(budget, shared).copy(value, 0)


def size(value: Any, most: int = 20 * BUDGET) -> str:
    """The size of a value, roughly and quickly: its own statement, else a count of its parts, up to `most`.

    >>> size({"a": "xyz"}), size([[1, 2], [3]]), size([[1, 2]] * 9, 50)
    ('about 67 bytes', 'about 40 bytes', 'over 50 bytes')
    """
    try:
        return f"about {_Measure(most).of(value):,} bytes"
    except TooBigError:
        return f"over {most:,} bytes"


class TooBigError(Exception):
    """A value takes more than the budget."""


class _Measure:
    """Counts the parts of a value, each object once, up to a budget.

    `marks` are the bare objects in it, which matter only by identity.
    """

    def __init__(self, budget: int) -> None:
        self.marks: list[object] = []
        self._left = budget
        self._budget = budget

    def of(self, value: Any) -> int:
        waiting, seen = [value], set[int]()
        while waiting:
            found = waiting.pop()
            if type(found) in _NUMBERS or id(found) in seen:
                continue
            seen.add(id(found))
            if isinstance(found, str | bytes | bytearray):
                self._spend(len(found))
            elif isinstance(found, dict):
                self._spend(64 * len(found))
                waiting += found.values()
            elif isinstance(found, list | tuple | set | frozenset | deque):
                self._spend(8 * len(found))
                waiting += found
            elif type(found) is object:
                self.marks.append(found)
            else:
                self._spend(own_size(found))
                waiting += _parts(found)
        return self._budget - self._left

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise TooBigError


def _parts(value: Any) -> Iterable[Any]:
    """The values of an object's attributes; none for classes, functions and objects that state their size."""
    if isinstance(value, type | ModuleType) or callable(value) or has_attribute(value, "nbytes"):
        return ()
    slots = attribute(type(value), "__slots__", ())
    held = [attribute(value, name) for name in ([slots] if isinstance(slots, str) else slots)]
    return [*held, *attribute(value, "__dict__", {}).values()]


class _StateCopier:
    """Copies plain data itself, ten times as fast as `deepcopy`, and uses that for the rest.

    Shared and recursive references are preserved.
    """

    def __init__(self, budget: int, shared: Mapping[int, Any] = MappingProxyType({})) -> None:
        self._left = budget
        self._made: dict[int, Any] = dict(shared)  # by the id of the original; `deepcopy` uses the same table

    def copy(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str or kind is bytes:
            self._spend(len(value))
            return value
        if kind in _NUMBERS:
            return value
        kind = dict if kind in DICTS else kind
        if depth < DEEPEST and (kind is dict or kind is list):
            made = self._made.get(id(value))
            if made is not None:
                return made
            return self._dict(value, depth + 1) if kind is dict else self._list(value, depth + 1)
        if depth < DEEPEST and kind is tuple:
            self._spend(8 * len(value))
            return tuple([self.copy(item, depth + 1) for item in value])
        measure = _Measure(self._left)
        self._spend(measure.of(value))
        for one in measure.marks:
            self._made[id(one)] = one
        try:
            return copy.deepcopy(value, self._made)
        except Exception:
            if not isinstance(value, dict) or not _fails_at_getattr(kind):
                raise
        return self._mapping(value, depth)

    def _mapping(self, value: dict[Any, Any], depth: int) -> Any:
        """A dict whose items are its attributes: `deepcopy` asks it for methods, and gets a KeyError."""
        made = self._made[id(value)] = type(value).__new__(type(value))
        dict.update(made, {key: self.copy(item, depth + 1) for key, item in dict.items(value)})
        own = {name: self.copy(item, depth + 1) for name, item in attribute(value, "__dict__", {}).items()}
        attribute(made, "__dict__", {}).update(own)
        return made

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        self._spend(64 * len(value))
        made = self._made[id(value)] = {}
        for key, item in dict.items(value):  # most fields are numbers, which need no call
            made[key] = item if type(item) in _NUMBERS else self.copy(item, depth)
        return made

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        self._spend(8 * len(value))
        made = self._made[id(value)] = []
        made.extend(self.copy(item, depth) for item in value)
        return made

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise TooBigError


def _fails_at_getattr(kind: type) -> bool:
    """Whether a class has `__getattr__` but does not define how it is copied."""
    return has_attribute(kind, "__getattr__") and not has_attribute(kind, "__deepcopy__")


def own_size(value: Any) -> int:
    """The size that a table or an array states, in bytes; a small guess for anything else."""
    if isinstance(value, type):
        return 64
    if has_attribute(value, "columns"):
        memory, estimated = attribute(value, "memory_usage"), attribute(value, "estimated_size")
        if callable(memory):
            return int(memory(deep=False).sum())
        if callable(estimated):
            return int(estimated())
    nbytes = attribute(value, "nbytes")
    return nbytes if isinstance(nbytes, int) else 64


class UncopiedError(NbgraphError):
    """A value can't be copied; the message says why."""


class Copies:
    """Makes exact copies, which share the objects that the steps' code refers to by name.

    >>> from nbgraph import Graph
    >>> missing = object()
    >>> copies = Copies(Graph("g").to(lambda body: missing)._graph.plan())
    >>> copy = copies.copy({"a": [1], "b": missing})
    >>> copy["b"] is missing
    True
    """

    def __init__(self, plan: Plan) -> None:
        self._plan: Plan | None = None
        self._shared: dict[int, Any] = {}
        self.use_plan(plan)

    def use_plan(self, plan: Plan) -> None:
        """From now on share the objects that the code of this plan refers to."""
        if plan is not self._plan:
            self._plan = plan
            found = (one for step in plan.steps.values() for one in referenced_by(step.call.target))
            # an iterator is used up by reading, so it is copied even where code refers to it
            self._shared = {id(one): one for one in found if not issubclass(type(one), (*PLAIN, Iterator))}

    def copy(self, value: Any) -> Any:
        """A copy; raises an UncopiedError if the value can't be copied."""
        if type(value) in PLAIN:
            return value
        shared = self._shared
        if id(value) in shared and type(value) in (dict, list, set, bytearray):  # it may be changed, so it is restored
            shared = {key: one for key, one in shared.items() if one is not value}
        try:
            return _exact_copy(value, LARGEST, shared)
        except TooBigError:
            raise UncopiedError(f"{type(value).__name__}, {size(value, 20 * LARGEST)}") from None
        except Exception as error:  # open files, locks, generators, objects that refuse it
            raise UncopiedError(f"{type(value).__name__}: {type(error).__name__}") from error

    def copy_or_same(self, value: Any) -> Any:
        """A copy, or the value itself if it can't be copied."""
        try:
            return self.copy(value)
        except UncopiedError:
            return value


def is_unchanged(kept: Any, value: Any) -> bool:
    """Whether a copy still equals the value, decided for plain data only; another kind of number is a change.

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


def referenced_by(target: Any) -> Iterator[Any]:
    """The objects that a handler's code refers to by name: globals, closure variables, attributes of these."""
    waiting: list[Any] = [target]
    seen: set[int] = set()
    while waiting and len(seen) < MOST:
        function = _unwrapped(waiting.pop())
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


def _unwrapped(function: Any) -> Any:
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
            continue  # an empty cell


def _with_parts(value: Any, names: set[str]) -> Iterator[Any]:
    """The value, its attributes of these names, and the items of a container."""
    yield value
    if isinstance(value, dict | list | tuple | set | frozenset):
        items = list(value.values()) if isinstance(value, dict) else list(value)
        yield from items if len(items) <= MOST else ()
    elif not isinstance(value, FunctionType):
        yield from (one for name, one in attribute(value, "__dict__", {}).items() if name in names)


def _is_own(value: Any, function: FunctionType) -> bool:
    """Whether it is a function or a class of the same module; libraries are left out."""
    return isinstance(value, FunctionType | type) and value.__module__ == function.__module__
