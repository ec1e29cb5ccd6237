"""Synchronous steps of an asynchronous plan, called as if no event loop ran on their thread.

They run on the loop's thread, in order and with their context variables: switching threads costs more than most
steps do. But libraries that look for a running loop (`anyio.run`, Playwright, `async_to_sync`) must work
in them as they do in a synchronous graph, so the loop is hidden while they run.
"""

from __future__ import annotations

import dis
import inspect
from asyncio import events
from collections.abc import Callable, Generator
from functools import partial
from types import CodeType, FunctionType
from typing import Any

_END: Any = object()


def loopless(function: Callable[[Any], Any], *, is_loop: bool) -> Callable[[Any], Any]:
    """The function with the running loop hidden, also while its generator is drawn; unchanged if it calls nothing.

    >>> import asyncio
    >>> def look(body):
    ...     return asyncio._get_running_loop() is None
    >>> async def main():
    ...     return look(1), loopless(look, is_loop=False)(1)
    >>> asyncio.run(main())
    (False, True)
    """
    if not _calls(function):
        return function
    return partial(_drawing if is_loop else hidden, function)


def hidden(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result, called as if no loop ran."""
    running = events._get_running_loop()
    events._set_running_loop(None)
    try:
        return function(*arguments)
    finally:
        events._set_running_loop(running)


def _drawing(function: Callable[[Any], Any], body: Any) -> Any:
    results = hidden(function, body)
    return _drawn(results) if isinstance(results, Generator) else results


def _drawn(results: Generator[Any, None, None]) -> Generator[Any, None, None]:
    try:
        while (result := hidden(next, results, _END)) is not _END:
            yield result
    finally:
        hidden(results.close)


def _calls(function: Any) -> bool:
    """Whether its code calls anything; pure computation never looks for a loop."""
    while isinstance(function, partial):
        function = function.func
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if not isinstance(plain, FunctionType) and not inspect.isclass(function):
        plain = inspect.unwrap(type(function).__call__)  # a callable object, also one that is a descriptor
    return isinstance(plain, FunctionType) and _has_call(plain.__code__)


def _has_call(code: CodeType) -> bool:
    own = any(instruction.opname.startswith("CALL") for instruction in dis.get_instructions(code))
    return own or any(_has_call(constant) for constant in code.co_consts if isinstance(constant, CodeType))
