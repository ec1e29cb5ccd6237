"""Snapshots: what a value was at one moment, whatever happens to it later; or a marked preview of what is too big."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

BUDGET = 1_000_000  # bytes, roughly, that one kept value may take
TEXT = 2_000  # characters of a preview
DEEPEST = 40

_ATOMS = frozenset({int, float, bool, str, bytes, type(None), complex})


@dataclass(frozen=True, slots=True)
class Preview:
    """Stands for a value that was not kept: its type, why, and the beginning of its text.

    >>> kept = snapshot("x" * 2_000_000)
    >>> kept.type, kept.why, kept.text[:5]
    ('str', 'about 2,000,000 bytes, more than the 1,000,000 that are kept', "'xxxx")
    """

    type: str
    why: str
    text: str

    def __repr__(self) -> str:
        return f"<not kept: {self.type}, {self.why}: {self.text}>"


def snapshot(value: Any, budget: int = BUDGET) -> Any:
    """A copy that later changes of the value do not reach, or a Preview.

    >>> before = {"a": [1]}
    >>> kept = snapshot(before)
    >>> before["a"].append(2)
    >>> kept
    {'a': [1]}
    """
    if type(value) in _ATOMS and not isinstance(value, str | bytes):
        return value
    try:
        return _Copy(budget).of(value, 0)
    except TooBigError:
        return preview(value, f"about {size(value):,} bytes, more than the {budget:,} that are kept")
    except Exception as error:  # open files, locks, sockets, objects that refuse to be copied
        return preview(value, f"it can't be copied ({type(error).__name__})")


def preview(value: Any, why: str) -> Preview:
    try:
        text = _beginning(value)
    except Exception as error:
        text = f"<its repr failed: {type(error).__name__}>"
    return Preview(type(value).__name__, why, text[:TEXT])


def _beginning(value: Any) -> str:
    """The repr of as much of a value as will be shown, so that a huge one is not written out first."""
    if isinstance(value, str | bytes | list | tuple):
        return repr(value[:TEXT])
    if isinstance(value, dict):
        return repr(dict(list(value.items())[:50]))
    return repr(value)


def size(value: Any) -> int:
    """The size of a value in bytes, roughly and quickly: its own word for it, else a count of what it holds."""
    try:
        return _Count().of(value, 0)
    except RecursionError:
        return BUDGET


class TooBigError(Exception):
    pass


class _Copy:
    """Copies plain data by hand, which is ten times as fast as `deepcopy`, and leaves the rest to it."""

    def __init__(self, budget: int) -> None:
        self._left = budget

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str or kind is bytes:
            self._spend(len(value))
            return value
        if kind in _ATOMS:
            return value
        if depth < DEEPEST:  # deeper, and cyclic, data is left to deepcopy, which knows what it has seen
            if kind is dict:
                self._spend(64 * len(value))
                return {key: self.of(item, depth + 1) for key, item in value.items()}
            if kind is list:
                self._spend(8 * len(value))
                return [self.of(item, depth + 1) for item in value]
            if kind is tuple:
                self._spend(8 * len(value))
                return tuple([self.of(item, depth + 1) for item in value])
        self._spend(own_size(value))
        return copy.deepcopy(value)

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise TooBigError


class _Count:
    def of(self, value: Any, depth: int) -> int:
        if isinstance(value, str | bytes):
            return len(value)
        if depth < DEEPEST and isinstance(value, dict):
            return sum(64 + self.of(item, depth + 1) for item in value.values())
        if depth < DEEPEST and isinstance(value, list | tuple):
            return sum(8 + self.of(item, depth + 1) for item in value)
        return own_size(value)


def own_size(value: Any) -> int:
    """What a table or an array says of itself, in bytes; a small guess for anything else."""
    memory = getattr(value, "memory_usage", None)
    if callable(memory) and hasattr(value, "columns"):
        return int(memory(deep=False).sum())
    nbytes = getattr(value, "nbytes", None)
    return nbytes if isinstance(nbytes, int) else 64
