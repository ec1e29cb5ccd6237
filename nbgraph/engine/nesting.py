"""Nesting: steps that call `asyncio.run` themselves, although a loop already runs on their thread (as in Jupyter)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import CodeType
from typing import Any

LOOP_CALLS = frozenset({"run_until_complete"})


def starts_loop(function: Any) -> bool:
    """Whether the code of a handler starts an event loop of its own.

    >>> def fetch(body):
    ...     return asyncio.run(asyncio.sleep(0, body))
    >>> starts_loop(fetch), starts_loop(len)
    (True, False)
    """
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return isinstance(code, CodeType) and any(_starts(part) for part in _parts(code))


def _parts(code: CodeType) -> Iterable[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)


def _starts(code: CodeType) -> bool:
    names = set(code.co_names)
    return {"asyncio", "run"} <= names or bool(names & LOOP_CALLS)


def allow() -> None:
    """Patch the loop that runs on this thread, if one does, so that another may be started inside it."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    import nest_asyncio2

    nest_asyncio2.apply(running)
