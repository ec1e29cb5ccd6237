"""The event loop thread that nbgraph owns, so that a running graph never blocks a notebook's own event loop.

All async steps run there. If a step blocks the loop thread while it waits for another graph, a spare loop thread
takes over, so a run inside a step never deadlocks.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 0.25  # seconds until a spare thread takes over from a blocked loop thread


class LoopThread:
    """An event loop on its own daemon thread."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._is_stopped = False
        self.thread = threading.Thread(target=self._serve, daemon=True, name=name)
        self.thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self) -> None:
        """Cancel its tasks, then end it."""
        self.submit(self._end())

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._is_stopped = True
        self.loop.call_soon(self.loop.stop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._is_stopped:
            # a step called exit(): its caller gets the error; the loop goes on for others
            with suppress(SystemExit, KeyboardInterrupt):
                self.loop.run_forever()
        self.loop.close()


@cache
def _own() -> LoopThread:
    return LoopThread("nbgraph-loop")


def own_loop() -> asyncio.AbstractEventLoop:
    """The one loop, started on first use; its thread is a daemon, so that it ends with the process."""
    return _own().loop


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Run the coroutine on the loop thread."""
    return _own().submit(coroutine)


_background: set[asyncio.Task[Any]] = set()


def background(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Run a coroutine concurrently; keeps a reference, since the loop itself holds tasks only weakly."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


class _Claim:
    """A coroutine for the first to claim it: the loop thread, or the caller after a timeout."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self._taken = threading.Lock()

    def take(self) -> bool:
        return self._taken.acquire(blocking=False)

    async def run(self) -> Any:
        return await self.coroutine if self.take() else None


def complete(coroutine: Coroutine[Any, Any, T], wait: Callable[[Future[T]], T] = Future.result) -> T:
    """The coroutine's result, waited for on this thread, after a moment by `wait`."""
    if _is_on_loop_thread():
        return _on_spare(coroutine, wait)
    claim = _Claim(coroutine)
    future: Future[T] = submit(claim.run())
    try:
        try:
            return future.result(PATIENCE)
        except TimeoutError:
            if not future.done() and claim.take():
                return _on_spare(coroutine, wait)
        return wait(future)
    except BaseException:
        future.cancel()  # Ctrl-C in the notebook ends the steps too
        raise


def _on_spare(coroutine: Coroutine[Any, Any, T], wait: Callable[[Future[T]], T]) -> T:
    with spare() as thread:
        return wait(thread.submit(coroutine))


@contextmanager
def spare() -> Iterator[LoopThread]:
    """A loop thread for one claim."""
    thread = LoopThread("nbgraph-spare-loop")
    try:
        yield thread
    finally:
        thread.stop()


def responsive() -> LoopThread:
    """The own loop thread, or a new one if a step blocks that; release it by `release`."""
    if not _is_on_loop_thread():
        try:
            submit(_nothing()).result(PATIENCE)
            return _own()
        except TimeoutError:
            pass
    return LoopThread("nbgraph-spare-loop")


def release(thread: LoopThread) -> None:
    """Stop a loop thread that `responsive` gave, unless it is the own one."""
    if thread is not _own():
        thread.stop()


async def _nothing() -> None:
    pass


async def away(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, awaited in the caller's loop while it runs on nbgraph's; cancelled with the wait."""
    if _is_on_loop_thread():
        return await coroutine
    claim = _Claim(coroutine)
    future = asyncio.wrap_future(submit(claim.run()))
    try:
        await asyncio.wait([future], timeout=PATIENCE)
        if not future.done() and claim.take():
            return await coroutine
        result: T = await future
        return result
    except BaseException:
        future.cancel()
        raise


_depth: contextvars.ContextVar[int] = contextvars.ContextVar("depth of worker threads", default=0)


@cache
def _workers(depth: int) -> ThreadPoolExecutor:
    """Threads for synchronous work; nested work gets a pool of the next depth, so that it can't deadlock."""
    return ThreadPoolExecutor(thread_name_prefix=f"nbgraph-step-{depth}")


async def on_pool(workers: Executor, function: Callable[..., T], *arguments: Any) -> T:
    """The result of a synchronous function, run on one of the workers, in the caller's context variables."""
    work = partial(contextvars.copy_context().run, outcome_of, function, *arguments)
    result: T = result_of(await asyncio.get_running_loop().run_in_executor(workers, work))
    return result


Outcome = tuple[bool, Any]


def outcome_of(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """The result or the exception, as a value: futures change some exceptions."""
    try:
        return True, function(*arguments)
    except BaseException as error:
        return False, error


def result_of(outcome: Outcome) -> Any:
    """The result of an outcome; raises its exception."""
    is_result, value = outcome
    try:
        if not is_result:
            raise value
        return value
    finally:
        del outcome, value  # breaks the reference cycle of error and frame


async def on_thread(function: Callable[..., T], *arguments: Any) -> T:
    """The result of a synchronous function, run on a worker thread."""
    depth = _depth.get()
    return await on_pool(_workers(depth), _deeper, depth, function, *arguments)


def _deeper(depth: int, function: Callable[..., T], *arguments: Any) -> T:
    _depth.set(depth + 1)
    return function(*arguments)


def without_waiting(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends, so that synchronous plans share the async code."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a synchronous plan was suspended; a step is async without being declared so")


def _is_on_loop_thread() -> bool:
    return threading.current_thread() is _own().thread  # not by the running loop, which is hidden from steps


def _forget() -> None:
    """Forget the threads, which a forked child does not have."""
    _own.cache_clear()
    _workers.cache_clear()
    _background.clear()


os.register_at_fork(after_in_child=_forget)
