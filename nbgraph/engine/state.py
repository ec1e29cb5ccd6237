"""Whether an object remembers: whether it has a `state` that it changes."""

from __future__ import annotations

import dis
import inspect
from typing import Any

from nbgraph.handler import Handler

FIXED = (str, bytes, int, float, tuple, frozenset, type(None))  # what only another value can take the place of
MADE_IN = ("__init__", "post_init")


def has_state(target: Any) -> bool:
    """Whether a step's object has a `state`, set by its constructor or a property, that may be another at each event.

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
    kinds = [kind for kind in type(target).__mro__ if kind is not Handler]
    made = [vars(kind)["state"] for kind in kinds if "state" in vars(kind)]
    if made and isinstance(made[0], property):
        return made[0].fset is not None
    if not made and "state" not in getattr(target, "__dict__", {}):
        return False
    return not isinstance(target.state, FIXED) or any(map(_sets_state, kinds))


def _sets_state(kind: type) -> bool:
    """Whether a method of a class, other than those that make an object, gives it another state."""
    codes = [getattr(member, "__code__", None) for name, member in vars(kind).items() if name not in MADE_IN]
    return any(
        instruction.opname == "STORE_ATTR" and instruction.argval == "state"
        for code in codes
        if code is not None and "state" in code.co_names
        for instruction in dis.get_instructions(code)
    )
