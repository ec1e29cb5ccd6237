"""Fault: which exceptions are a step's own, told as its StepError, and which end whoever runs the step."""

from __future__ import annotations

import sys

Kinds = tuple[type[BaseException], ...]
ANY: Kinds = (BaseException,)
GENERATOR, COROUTINE = 0x20, 0x80 | 0x200  # CO_GENERATOR; CO_COROUTINE, CO_ASYNC_GENERATOR


class Halt(BaseException):
    """Ends a run from outside; no step takes it for an error of its own."""


def own(kinds: Kinds = ANY) -> Kinds:
    """For an `except` clause: `kinds` where the exception at hand is a step's own; else nothing, and it goes its way.

    It is asked only once something was raised. A step's own is also a `SystemExit` (`sys.exit` in a parser of
    arguments), a `CancelledError` of something that it awaits, a `GeneratorExit`; not its own are Ctrl-C, and what
    breaks off whoever runs it.

    >>> import asyncio
    >>> async def told(step):
    ...     try:
    ...         await step
    ...     except own() as error:
    ...         return repr(error)
    >>> async def parse():
    ...     sys.exit(3)
    >>> async def main():
    ...     inner = asyncio.ensure_future(asyncio.sleep(9))
    ...     inner.cancel()
    ...     return await told(parse()), await told(inner)
    >>> asyncio.run(main())
    ('SystemExit(3)', 'CancelledError()')
    """
    error = sys.exception()
    return kinds if error is None or isinstance(error, Exception) or _is_own(error) else ()


def _is_own(error: BaseException) -> bool:
    """Whether an exception that is no `Exception` was raised by a step, not thrown into it."""
    import asyncio

    if isinstance(error, KeyboardInterrupt | Halt):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None  # no loop runs here: nothing can be cancelled
    if isinstance(error, asyncio.CancelledError):
        return task is None or not task.cancelling()
    return not (isinstance(error, GeneratorExit) and _closes(error, is_in_task=task is not None))


def _closes(error: GeneratorExit, *, is_in_task: bool) -> bool:
    """Whether it was thrown into what nobody goes on with: a generator of ours, a coroutine outside of any task."""
    first = last = error.__traceback__
    assert last is not None
    while last.tb_next is not None:
        last = last.tb_next
    flags = last.tb_frame.f_code.co_flags
    return bool((first is last and flags & GENERATOR) or (not is_in_task and flags & COROUTINE))
