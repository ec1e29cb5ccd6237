"""Whether an object has a `state` that it changes."""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Iterator
from typing import Any

from nbgraph.handler import Handler

FIXED = (str, bytes, int, float, tuple, frozenset, type(None))  # immutable: the state changes only by assignment
MADE_IN = ("__init__", "__new__", "post_init")
STATE = "state"
SETS = ("STORE_ATTR", "DELETE_ATTR")


def has_state(target: Any) -> bool:
    """Whether a step's object has a `state`, set by the constructor or a property, that may change with each event.

    >>> class Tax:
    ...     def __init__(self, state):
    ...         self.state = state
    ...     def do(self, body):
    ...         return self.state, body
    >>> class Total(Tax):
    ...     def do(self, body):
    ...         self.state += body
    ...         return self.state
    >>> has_state(Tax("NY")), has_state(Tax([])), has_state(Total(0)), has_state(len)
    (False, True, True, False)
    """
    if inspect.isroutine(target) or inspect.isclass(target):
        return False
    kinds = _kinds(type(target))
    made = [vars(kind)[STATE] for kind in kinds if STATE in vars(kind)]
    if made and isinstance(made[0], property):
        return made[0].fset is not None
    if not made and STATE not in getattr(target, "__dict__", {}):
        return _is_set_by(type(target), "post_init")  # not set yet
    return not isinstance(target.state, FIXED) or any(map(_sets_state, _codes(type(target), without=MADE_IN)))


def may_have_state(kind: type) -> bool:
    """Whether objects of a class could have a `state`, so that one must be built to know.

    >>> class Total:
    ...     def __init__(self):
    ...         self.reset()
    ...     def reset(self):
    ...         self.state = 0
    >>> may_have_state(Total), may_have_state(type("Plain", (), {"do": lambda self, body: body}))
    (True, False)
    """
    return any(STATE in vars(one) for one in _kinds(kind)) or any(map(_names_state, _codes(kind)))


def _kinds(kind: type) -> list[type]:
    return [one for one in kind.__mro__ if one not in (Handler, object)]


def _codes(kind: type, without: tuple[str, ...] = ()) -> Iterator[types.CodeType]:
    """The bytecode of a class's methods, and of the Python functions that they call by name."""
    functions = [
        function
        for one in _kinds(kind)
        for name, member in vars(one).items()
        if name not in without
        for function in _functions(member)
    ]
    yield from _reached(functions)


def _is_set_by(kind: type, name: str) -> bool:
    functions = [function for one in _kinds(kind) for function in _functions(vars(one).get(name))]
    return any(map(_sets_state, _reached(functions)))


def _functions(member: Any) -> Iterator[types.FunctionType]:
    if isinstance(member, property):
        yield from (one for one in (member.fget, member.fset) if isinstance(one, types.FunctionType))
    found = inspect.unwrap(getattr(member, "__func__", member)) if callable(member) else None
    found = getattr(member, "__func__", found)
    if isinstance(found, types.FunctionType):
        yield found


def _reached(functions: list[types.FunctionType]) -> Iterator[types.CodeType]:
    seen: set[types.CodeType] = set()
    waiting = list(functions)
    while waiting:
        function = waiting.pop()
        if function.__code__ in seen or _is_of_nbgraph(function):
            continue
        seen.add(function.__code__)
        yield from _inside(function.__code__)
        called = (function.__globals__.get(name) for name in function.__code__.co_names)
        waiting += [
            one
            for one in called
            if isinstance(one, types.FunctionType) and one.__globals__ is function.__globals__  # not into libraries
        ]


def _is_of_nbgraph(function: types.FunctionType) -> bool:
    """Whether it is the base class of the built-in steps, which only reads `state`."""
    return function.__module__ == Handler.__module__


def _inside(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _inside(constant)


def _names_state(code: types.CodeType) -> bool:
    return STATE in code.co_names or STATE in code.co_consts  # the latter for setattr


def _sets_state(code: types.CodeType) -> bool:
    """Whether the code assigns to an object's state."""
    if STATE in code.co_consts and "setattr" in code.co_names:
        return True
    return STATE in code.co_names and any(
        instruction.opname in SETS and instruction.argval == STATE for instruction in dis.get_instructions(code)
    )
