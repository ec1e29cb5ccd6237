"""The loop thread that nbgraph owns, so that a notebook's own event loop is never blocked by a running graph."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
AHEAD = 64


@cache
def own_loop() -> asyncio.AbstractEventLoop:
    """The one loop, started on first use; a daemon, so that it ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=_serve, args=(loop,), daemon=True, name="nbgraph-loop").start()
    return loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="nbgraph-step")


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Run the coroutine on the loop thread."""
    return asyncio.run_coroutine_threadsafe(coroutine, own_loop())


_background: set[asyncio.Task[Any]] = set()


def background(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Run a coroutine beside the one that calls; the loop itself would forget a task that nobody holds."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


def complete(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, waited for on this thread.

    A step on the loop thread may run another graph; that one gets a loop of its own, since waiting for the loop
    thread on itself would never end.
    """
    if _is_on_loop_thread():
        return _workers().submit(asyncio.run, coroutine).result()
    future = submit(coroutine)
    try:
        return future.result()
    except BaseException:
        future.cancel()  # Ctrl-C in the notebook ends the steps too
        raise


async def away(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, waited for in the caller's loop while it runs on ours; a cancelled wait cancels it."""
    if _is_on_loop_thread():
        return await coroutine
    return await asyncio.wrap_future(submit(coroutine))


def iterate(source: AsyncIterator[T]) -> Iterator[T]:
    """The items of an async iterator that runs on the loop thread, at most `AHEAD` of them ahead of the reader."""
    items: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
    room = threading.Semaphore(AHEAD)
    task = submit(_pump(source, items, room))
    try:
        while True:
            is_item, value = items.get()
            room.release()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        task.cancel()


async def _pump(source: AsyncIterator[Any], items: SimpleQueue[tuple[bool, Any]], room: threading.Semaphore) -> None:
    try:
        async for item in source:
            if not room.acquire(blocking=False):
                await on_thread(room.acquire)
            items.put((True, item))
        items.put((False, None))
    except BaseException as error:
        items.put((False, error))
        raise


@cache
def pool(size: int) -> ThreadPoolExecutor:
    """Threads for synchronous steps with `concurrency=size`."""
    return ThreadPoolExecutor(size, thread_name_prefix=f"nbgraph-{size}")


async def on_pool(workers: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any) -> T:
    """The result of a synchronous function, run on one of the workers, in the caller's context variables."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(workers, partial(context.run, function, *arguments))


async def on_thread(function: Callable[..., T], *arguments: Any) -> T:
    """The result of a synchronous function, run on a worker thread."""
    return await on_pool(_workers(), function, *arguments)


def without_waiting(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine in which nothing ever waits; this is how synchronous plans share the async code."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("a synchronous plan waited; a step is async without saying so")


def _is_on_loop_thread() -> bool:
    try:
        return asyncio.get_running_loop() is own_loop()
    except RuntimeError:
        return False
