"""Snapshots: what a value was at one moment, whatever happens to it later; or a marked preview of what is too big."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

from nbgraph.introspection import attribute, has_attribute, preview
from nbgraph.streams.codec.values import DICTS

BUDGET = 1_000_000  # bytes, roughly, that one kept value may take
DEEPEST = 40

_NUMBERS = frozenset({int, float, bool, type(None), complex})


def snapshot(value: Any, budget: int = BUDGET) -> Any:
    """A copy that later changes of the value do not reach, or a Preview.

    >>> before = {"a": [1]}
    >>> kept = snapshot(before)
    >>> before["a"].append(2)
    >>> kept
    {'a': [1]}
    """
    if type(value) in _NUMBERS:
        return value
    try:
        return _SnapshotCopy(budget).of(value, 0)
    except TooBigError:
        return preview(value, f"{size(value, 20 * budget)}, more than the {budget:,} that are kept")
    except Exception as error:  # open files, locks, sockets, objects that refuse to be copied
        return preview(value, f"it can't be copied ({type(error).__name__})")


def copied(value: Any, budget: int, common: Mapping[int, Any]) -> Any:
    """A copy in which what is `common`, by id, is itself; raises what copying raises, or a TooBigError."""
    return _SnapshotCopy(budget, common).of(value, 0)


def size(value: Any, most: int = 20 * BUDGET) -> str:
    """The size of a value, roughly and quickly: its own word for it, else a count of what it holds, up to a point.

    >>> size({"a": "xyz"}), size([[1, 2], [3]]), size([[1, 2]] * 9, 50)
    ('about 67 bytes', 'about 40 bytes', 'over 50 bytes')
    """
    try:
        return f"about {_Measure(most).of(value):,} bytes"
    except TooBigError:
        return f"over {most:,} bytes"


class TooBigError(Exception):
    pass


class _Measure:
    """Counts what a value holds, each object once, until there is more than the budget.

    `marks` are the bare objects in it, which say something only by being the same.
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
    """What the attributes of an object hold; nothing for classes, functions and what tells its size itself."""
    if isinstance(value, type | ModuleType) or callable(value) or has_attribute(value, "nbytes"):
        return ()
    slots = attribute(type(value), "__slots__", ())
    held = [attribute(value, name) for name in ([slots] if isinstance(slots, str) else slots)]
    return [*held, *attribute(value, "__dict__", {}).values()]


class _SnapshotCopy:
    """Copies plain data by hand, which is ten times as fast as `deepcopy`, and leaves the rest to it.

    What stands in two places of a value does so in the copy, and so does a value that contains itself.
    """

    def __init__(self, budget: int, common: Mapping[int, Any] = MappingProxyType({})) -> None:
        self._left = budget
        self._made: dict[int, Any] = dict(common)  # by the id of what was copied; `deepcopy` keeps the same book

    def of(self, value: Any, depth: int) -> Any:
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
            return tuple([self.of(item, depth + 1) for item in value])
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
        dict.update(made, {key: self.of(item, depth + 1) for key, item in dict.items(value)})
        own = {name: self.of(item, depth + 1) for name, item in attribute(value, "__dict__", {}).items()}
        attribute(made, "__dict__", {}).update(own)
        return made

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        self._spend(64 * len(value))
        made = self._made[id(value)] = {}
        for key, item in dict.items(value):  # most fields are numbers, which need no call
            made[key] = item if type(item) in _NUMBERS else self.of(item, depth)
        return made

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        self._spend(8 * len(value))
        made = self._made[id(value)] = []
        made.extend(self.of(item, depth) for item in value)
        return made

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise TooBigError


def _fails_at_getattr(kind: type) -> bool:
    """Whether a class answers for attributes that it does not have, and not for how it is copied."""
    return has_attribute(kind, "__getattr__") and not has_attribute(kind, "__deepcopy__")


def own_size(value: Any) -> int:
    """What a table or an array says of itself, in bytes; a small guess for anything else."""
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
