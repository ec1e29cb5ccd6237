"""The Console: what a step prints, logs and warns of is kept beside its frame, and still goes where it went.

While a console listens, `sys.stdout` and `sys.stderr` are streams that hand everything on, and the root logger has one
more handler. Who listens is a context variable, so events that run side by side are told apart, on worker threads too.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from contextvars import ContextVar
from typing import Any

KEPT = 20_000  # characters of one call
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")  # what a progress bar has drawn anew

_listening: ContextVar[tuple[Console, ...]] = ContextVar("nbgraph_console", default=())


class Console:
    """What is written while it listens, until it is taken.

    >>> console = Console()
    >>> with console:
    ...     print("3 rows")
    3 rows
    >>> console.take()
    '3 rows\\n'
    """

    def __init__(self, owner: object = None) -> None:
        self.owner = self if owner is None else owner  # has one console in each task, the one that began last
        self._text, self._left_out = "", 0
        self._lock = threading.Lock()  # a step's routes may run on threads

    def __enter__(self) -> Console:
        STREAMS.listen()
        self.begin()
        return self

    def __exit__(self, *error: object) -> None:
        self.end()
        STREAMS.leave()

    def begin(self) -> None:
        """Listen, as long as the streams do, to all that this thread, or task, does."""
        _listening.set((*(one for one in _listening.get() if one.owner is not self.owner), self))

    def end(self) -> None:
        """Listen no more."""
        _listening.set(tuple([one for one in _listening.get() if one is not self]))

    def write(self, text: str) -> None:
        """Keep the text, as far as there is room; of a line that is drawn over its last state."""
        with self._lock:
            whole = self._text + text
            if "\r" in text:
                whole = _OVERWRITTEN.sub("", whole)
            self._text = whole[:KEPT]
            self._left_out += len(whole) - len(self._text)

    def since(self, mark: int) -> str:
        """What was written since it had so many characters."""
        return self._text[mark:]

    def __len__(self) -> int:
        return len(self._text)

    def take(self) -> str:
        """What was written since it was taken last, as a text that reaches a page."""
        with self._lock:
            more = f"\n… {self._left_out:,} more characters\n" if self._left_out else ""
            taken, self._text, self._left_out = self._text + more, "", 0
        return taken.encode("utf-8", "backslashreplace").decode()


class _ListeningStream:
    """A stream in the place of another one: what is written goes there, and to the console of whoever writes."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> Any:
        for console in _listening.get():
            console.write(text)
        return self.stream.write(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _ListeningHandler(logging.Handler):
    """Hands records to the console of whoever logs; where it is the only handler, the last resort has its say."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        for console in _listening.get():
            console.write(f"{self.format(record)}\n")
        resort = logging.lastResort
        if resort is not None and record.levelno >= resort.level and self._is_alone(record.name):
            token = _listening.set(())  # it writes to `sys.stderr`: the console has it already
            resort.handle(record)
            _listening.reset(token)

    def _is_alone(self, name: str) -> bool:
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return False
            logger = logger.parent if logger.propagate else None
        return True


class _Streams:
    """The streams and the handler that listen: there while anybody wants them to be."""

    def __init__(self) -> None:
        self._lock, self._open = threading.Lock(), 0
        self._handler = _ListeningHandler()

    def listen(self) -> None:
        with self._lock:
            self._open += 1
            if self._open == 1:
                logging.getLogger().addHandler(self._handler)
                for name in ("stdout", "stderr"):
                    setattr(sys, name, _ListeningStream(getattr(sys, name)))

    def leave(self) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                logging.getLogger().removeHandler(self._handler)
                for name in ("stdout", "stderr"):
                    stream = getattr(sys, name)
                    if isinstance(stream, _ListeningStream):  # else a step has put its own there
                        setattr(sys, name, stream.stream)


STREAMS = _Streams()
