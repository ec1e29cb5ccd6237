"""Signature: what a function or class takes, and why some arguments do not fit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nbgraph.graph.finding import meant

INJECTED = ("context", "name")  # what a constructor or function gets by itself where it names it
_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def misfit(function: Callable[..., Any], positional: Sequence[Any], named: Iterable[str], *, body: bool) -> str | None:
    """Why the function does not take these arguments (behind the body, where it gets one); None where it does.

    >>> def enrich(body, table, on="id"): ...
    >>> misfit(enrich, [], ["tabel"], body=True)
    'enrich(body, table, on="id") has no argument "tabel". Did you mean "table"?'
    """
    signature = signature_of(function, is_own=True)
    if signature is None:
        return None
    called = f"{getattr(function, '__name__', type(function).__name__)}{_shown(signature)}"
    known = [name for name, one in signature.parameters.items() if one.kind in _KEYWORDS]
    takes_any = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
    for name in named:
        if name not in known and not takes_any:
            return f'{called} has no argument "{name}".{meant(name, known)}'
    try:
        signature.bind(*([None] if body else []), *positional, **dict.fromkeys(named))
    except TypeError as error:
        return f"{called}: {_reason(signature, error, len(positional) + body, set(named), body)}"
    return None


def signature_of(function: Any, *, is_own: bool = False) -> inspect.Signature | None:
    """What it takes, or with `is_own` what a decorator around it takes; None for the builtins that do not tell."""
    try:
        return inspect.signature(function, follow_wrapped=not is_own)
    except (TypeError, ValueError):
        return None


def _reason(signature: inspect.Signature, error: TypeError, given: int, named: set[str], body: bool) -> str:
    missing = [
        name
        for place, (name, one) in enumerate(signature.parameters.items())
        if one.default is one.empty
        and one.kind in (*_KEYWORDS, one.POSITIONAL_ONLY)
        and (place >= given or one.kind is one.KEYWORD_ONLY)
        and name not in named
    ]
    if missing:
        wanted = " and ".join(f'"{name}"' for name in missing)
        more = "a step gets the body, and what is said beside it" if body else "say it where the step is named"
        return f"nothing is given for {wanted}; {more}: {missing[0]}=..."
    if body and not any(one.kind is not one.KEYWORD_ONLY for one in signature.parameters.values()):
        return "it takes no body; a step gets one."
    return f"{error}."


def _shown(signature: inspect.Signature) -> str:
    """The arguments with their defaults, without types and what a step gets by itself."""
    kept = [
        one.replace(annotation=one.empty)
        for name, one in signature.parameters.items()
        if name not in INJECTED or one.default is one.empty
    ]
    try:
        text = str(signature.replace(parameters=kept, return_annotation=signature.empty))
    except ValueError:
        return str(signature)
    return text.replace("'", '"').replace("(self, ", "(").replace(", *)", ")")
