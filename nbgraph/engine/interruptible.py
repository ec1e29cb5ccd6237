"""Interruptible calls: a debugged step runs on a thread of its own, so that whoever waits for it can leave it behind.

No thread can be ended from outside while it waits in C code, as `time.sleep` does. So the one who waits goes on without
it; the thread itself ends at its next line of Python, and what it gives by then is dropped.
"""

from __future__ import annotations

import contextvars
import ctypes
import queue
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any, TypeVar

from nbgraph.engine.loop import outcome_of, result_of

T = TypeVar("T")
PERIOD = 0.05  # seconds between two looks whether it is to be interrupted


class Interrupted(KeyboardInterrupt):
    """A person has ended what was under way."""


class StepThread:
    """A daemon thread that makes one call after the other, in the context variables of whoever asks."""

    def __init__(self, name: str) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have a function called that raises nothing; the future of its result."""
        future: Future[T] = Future()
        context = contextvars.copy_context()

        def call() -> None:
            if future.set_running_or_notify_cancel():
                future.set_result(context.run(function, *arguments))

        self._waiting.put(call)
        return future

    def end(self) -> None:
        """Make no further call."""
        self._waiting.put(None)

    def leave(self) -> None:
        """Make no further call, and break off the one that is under way at its next line of Python."""
        self.end()
        if self._thread.ident is not None:
            kind = ctypes.py_object(Interrupted)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), kind)

    @property
    def frame(self) -> FrameType | None:
        """The innermost frame of what it calls."""
        return sys._current_frames().get(self._thread.ident or 0)

    def _serve(self) -> None:
        try:
            while (call := self._waiting.get()) is not None:
                call()
        except Interrupted:
            return  # it came when the call was over


class InterruptibleCalls:
    """Makes calls, one at a time; `interrupt` ends the one that is under way for whoever waits for it.

    >>> calls = InterruptibleCalls()
    >>> _ = threading.Timer(0.1, calls.interrupt).start()
    >>> try:
    ...     calls.make(time.sleep, 60)
    ... except Interrupted:
    ...     print("left behind")
    left behind
    """

    def __init__(self) -> None:
        self._thread: StepThread | None = None
        self._is_asked = threading.Event()
        self._began: float | None = None

    def make(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of the call."""
        self._thread = self._thread or StepThread("nbgraph-debugged-step")
        future = self._thread.submit(outcome_of, function, *arguments)
        return result_of(self.waited_for(future))

    def waited_for(self, future: Future[Any]) -> Any:
        """The result of a future; where it does not come before the interrupt, it is cancelled, its thread left."""
        self._began = time.monotonic()
        try:
            while True:
                self._look()
                try:
                    return future.result(PERIOD)
                except TimeoutError:
                    if future.done():
                        raise
        except KeyboardInterrupt:
            future.cancel()
            self._leave()
            raise
        finally:
            self._began = None

    def interrupt(self) -> None:
        """From another thread: end the call that is under way, or the next one."""
        self._is_asked.set()

    def begin(self) -> None:
        """Forget an interrupt that nothing was there for."""
        self._is_asked.clear()

    @property
    def seconds(self) -> float:
        """How long the call under way has taken so far; 0 where none is."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    @property
    def frame(self) -> FrameType | None:
        """Where the call under way is; None where it awaits something."""
        return self._thread.frame if self._thread is not None and self._began is not None else None

    def close(self) -> None:
        """Leave the call that is under way, and make no further one."""
        self.interrupt()
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    def _look(self) -> None:
        if self._is_asked.is_set():
            self._is_asked.clear()
            raise Interrupted

    def _leave(self) -> None:
        if self._thread is not None:
            self._thread.leave()
            self._thread = None
