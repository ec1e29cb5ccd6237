"""Steps that call `asyncio.run` themselves, although a loop already runs on their thread (as in Jupyter)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

MOST = 200  # functions inspected at most, so that a handler of a large library costs little
STARTERS = (asyncio.run, asyncio.Runner)


def starts_loop(function: Any) -> bool:
    """Whether a handler, or a function that it calls, starts an event loop of its own.

    >>> def fetch(body):
    ...     return asyncio.run(asyncio.sleep(0, body))
    >>> starts_loop(fetch), starts_loop(lambda body: fetch(body) + 1), starts_loop(len)
    (True, True, False)

    It is found by the code: the called names, as far as they are functions of the same module or package.
    """
    waiting, seen = [function], set[int]()
    while waiting and len(seen) < MOST:
        found = waiting.pop()
        owner = found.__self__ if isinstance(found, MethodType) else None
        plain = inspect.unwrap(getattr(found, "__func__", found))
        if not isinstance(plain, FunctionType) or id(plain.__code__) in seen:
            continue
        seen.add(id(plain.__code__))
        for code in _parts(plain.__code__):
            names = set(code.co_names)
            if "run_until_complete" in names or ("run" in names and _value(plain, "asyncio", names) is asyncio):
                return True
            called = list(_called(plain, owner, {*names, *code.co_freevars}))
            if any(value is starter for value in called for starter in (*STARTERS, asyncio.run)):
                return True
            waiting += [value for value in called if _is_near(value, plain)]
    return False


def _parts(code: CodeType) -> Iterable[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)


def _value(function: FunctionType, name: str, names: set[str]) -> Any:
    return function.__globals__.get(name) if name in names else None


def _called(function: FunctionType, owner: Any, names: set[str]) -> Iterator[Any]:
    """The objects that a function's code refers to: globals, closure variables, methods of its object."""
    closed = _closed(function)
    for name in names:
        if name in closed:
            yield closed[name]
        elif name in function.__globals__:
            yield function.__globals__[name]
        elif owner is not None and isinstance(method := getattr(type(owner), name, None), FunctionType):
            yield MethodType(method, owner)


def _closed(function: FunctionType) -> Mapping[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # an empty cell
    return found


def _is_near(value: Any, function: FunctionType) -> bool:
    """Whether it is a function of the same module or package; libraries manage their loops themselves."""
    if not isinstance(value, FunctionType | MethodType):
        return False
    return (value.__module__ or "").partition(".")[0] == (function.__module__ or "").partition(".")[0]


def allow() -> None:
    """Patch the running loop of this thread, if there is one, so that another may run inside it."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    import nest_asyncio2

    nest_asyncio2.apply(running)
    if asyncio.run is not _run:
        global _nested
        _nested, asyncio.run = asyncio.run, _run


_plain: Callable[..., Any] = asyncio.run
_nested: Callable[..., Any] = asyncio.run


def _run(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
    """`asyncio.run` for both cases: the patched one never closes the loop that it makes where none runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _plain(main, **options)
    return _nested(main, **options)
