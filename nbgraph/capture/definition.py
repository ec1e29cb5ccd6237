"""Definitions: the statements of the captured module, and the order in which they must stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """One name's statement; `now` must stand before it, `later` anywhere; `is_data` belongs at the module's head."""

    name: str
    text: str
    now: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    is_data: bool = False


def ordered(definitions: Mapping[str, Definition]) -> list[Definition]:
    """The definitions as they can run: what runs at import has all that it may reach before it.

    >>> helper, main = Definition("helper", "", later=("K",)), Definition("main", "", now=("helper",))
    >>> [found.name for found in ordered({"main": main, "helper": helper, "K": Definition("K", "")})]
    ['helper', 'K', 'main']
    """
    placed: dict[str, Definition] = {}
    begun: set[str] = set()
    # An explicit stack, since a notebook's chain of helpers may be deeper than Python's own.
    for root in definitions:
        work = [(root, False)]
        while work:
            name, is_ready = work.pop()
            definition = definitions.get(name)
            if definition is None or name in placed:
                continue
            if is_ready:
                placed[name] = definition
                work += _todo(definition.later)
            elif name not in begun:
                begun.add(name)
                reached = [found for needed in definition.now for found in _reached(needed, definitions)]
                work += [(name, True), *_todo(reached)]
    return list(placed.values())


def _todo(names: Iterable[str]) -> list[tuple[str, bool]]:
    return [(name, False) for name in reversed(list(names))]


def _reached(name: str, definitions: Mapping[str, Definition]) -> list[str]:
    """The name and all that a call of it may come to."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        reached = waiting.pop(0)
        if reached in definitions and reached not in found:
            found[reached] = None
            waiting += [*definitions[reached].now, *definitions[reached].later]
    return list(found)
