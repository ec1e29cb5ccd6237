"""Which objects and classes can handle events."""

from __future__ import annotations

import types
from typing import Any

from nbgraph.handler import Handler


def handles(kind: type) -> bool:
    """Whether objects of the class have a method that takes events."""
    methods = ("do", "do_event")
    own_call = "__call__" in {name for base in kind.__mro__ for name in vars(base)}
    return issubclass(kind, Handler) or own_call or any(callable(getattr(kind, name, None)) for name in methods)


def makes_handlers(resolved: Any) -> bool:
    """Whether it is a class whose objects handle events; a plain type (`int`) is itself a function of the body."""
    return isinstance(resolved, type) and (handles(resolved) or callable(getattr(resolved, "select_outlets", None)))


def no_handler(resolved: Any) -> str | None:
    """Why an object can't handle events; None if it can.

    >>> no_handler(None)
    'has None as its handler; expected a function, a class or object with do(body), do_event(event) or ...'
    """
    if isinstance(resolved, types.ModuleType):
        return f"has the module {resolved.__name__} as its handler; name a function in it: {resolved.__name__}.NAME."
    if not callable(resolved) and not handles(type(resolved)) and not hasattr(type(resolved), "select_outlets"):
        return (
            f"has {described(resolved)} as its handler; expected a function, a class or object with do(body), "
            "do_event(event) or __call__(body), or an expression in parentheses."
        )
    if isinstance(resolved, type) and not makes_handlers(resolved) and resolved.__module__ != "builtins":
        return (
            f"has the class {resolved.__name__} as its handler, which has none of do(body), do_event(event), "
            "__call__(body), select_outlets(body); add one of them."
        )
    return None


def described(value: Any) -> str:
    """A value for an error message, shortened."""
    text = repr(value)
    return "None" if value is None else f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
