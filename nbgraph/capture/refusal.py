"""Refusal: what can't leave the notebook, and why, before it breaks in a container."""

from __future__ import annotations

import io
import re
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nbgraph.errors import ExportError

OPEN_THINGS = {  # (module, class): what to call it; looked up only among modules that are loaded
    ("io", "IOBase"): "an open file",
    ("_thread", "LockType"): "a lock",
    ("_thread", "RLock"): "a lock",
    ("threading", "Thread"): "a thread",
    ("threading", "Condition"): "a lock",
    ("threading", "Semaphore"): "a lock",
    ("threading", "Event"): "a lock",
    ("_socket", "socket"): "a socket",
    ("sqlite3", "Connection"): "a database connection",
    ("sqlite3", "Cursor"): "a database cursor",
    ("sqlalchemy.engine", "Engine"): "a database connection",
    ("sqlalchemy.engine", "Connection"): "a database connection",
    ("asyncio", "AbstractEventLoop"): "an event loop",
    ("asyncio", "Future"): "a running task",
    ("concurrent.futures", "Executor"): "a pool of workers",
    ("subprocess", "Popen"): "a running process",
    ("queue", "Queue"): "a queue of threads",
    ("ssl", "SSLContext"): "a TLS context",
    ("httpx", "Client"): "a network client",
    ("requests", "Session"): "a network client",
}
RUNNING = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, types.FrameType)
SECRET_NAME = re.compile(r"(^|_)(password|passwd|passphrase|secret|api_?key|access_?key|private_?key)$")
TOKEN_NAME = re.compile(r"(^|_)(token|credentials?)$")  # also what language models call a piece of text, so see below
MIXED = re.compile(r"(?=.*[^a-z])(?=.*[^A-Z])\S{6,}")  # under a key of a dict, where "string" may stand for the type
TOKEN = re.compile(r"(?=.*\d)[\w.~+/=-]{12,}")
SECRET_TEXT = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}"
    r"|\bsk-[A-Za-z0-9_-]{20,}|\bsk_(live|test)_\w{16,}|\bhf_[A-Za-z0-9]{30,}|\bxox[abprs]-[\w-]{10,}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"
    r"|://[^/\s:@]+:[^/\s:@{}]{3,}@"
)


@dataclass(frozen=True, slots=True)
class Where:
    """How the capture came to a thing: the step, and the names from there on."""

    step: str
    names: tuple[str, ...] = ()
    line: int | None = None

    def through(self, name: str, line: int | None = None) -> Where:
        return Where(self.step, (*self.names, name), line if line is not None else self.line)

    def __str__(self) -> str:
        way = " -> ".join(self.names)
        return f'Step "{self.step}"' + (f": {way}" if way else "") + (f" (line {self.line})" if self.line else "")


def refused(where: Where, found: str, move: str) -> ExportError:
    """The sentence for what stays behind.

    >>> str(refused(Where("score", ("score", "LOG"), 3), "an open file", "open it in post_init"))
    'Step "score": score -> LOG (line 3) is an open file, which can\\'t leave the notebook: open it in post_init.'
    """
    return ExportError(f"{where} is {found}, which can't leave the notebook: {move}.")


def raise_if_open(value: Any, where: Where) -> None:
    """Refuse what belongs to this process: files, locks, sockets, threads, generators, connections."""
    kind = open_kind(value)
    if kind is not None:
        raise refused(where, kind, "make it where the graph runs, in the step's constructor or post_init()")


def open_kind(value: Any) -> str | None:
    """What to call a value that belongs to this process; None for all others.

    >>> import threading
    >>> open_kind(threading.Lock()), open_kind(io.StringIO()), open_kind(x for x in "ab"), open_kind(3)
    ('a lock', None, 'a generator', None)
    """
    if isinstance(value, io.BytesIO | io.StringIO):
        return None
    if isinstance(value, RUNNING):
        return f"a {type(value).__name__}" if isinstance(value, types.GeneratorType) else "a running call"
    for (module, name), kind in OPEN_THINGS.items():
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and isinstance(value, cls):
            return kind
    return None


def raise_if_secret(name: str, value: Any, where: Where) -> None:
    """Refuse a text that looks like a key or password, by its name or by its own form."""
    if not isinstance(value, str | bytes) or not value:
        return
    if is_secret(name, value.decode("latin-1") if isinstance(value, bytes) else value):
        raise ExportError(
            f"{where} looks like a secret, and secrets must not be written into files or images: take it at run time "
            f'from context.secret("{name.lower()}") in a constructor or handler that names `context`.'
        )


def is_secret(name: str, text: str) -> bool:
    """Whether a text looks like a key or password, by its name or by its own form.

    >>> is_secret("DB_PASSWORD", "hunter2"), is_secret("token", "<eos>"), is_secret("limit", "3")
    (True, False, False)
    """
    is_named = SECRET_NAME.search(name.lower()) or (TOKEN_NAME.search(name.lower()) and TOKEN.fullmatch(text))
    return bool(is_named or SECRET_TEXT.search(text))


def raise_if_secrets(value: Any, where: Where) -> None:
    """Refuse a secret among the items of dicts and lists, or the attributes of an object, by name or by form.

    >>> raise_if_secrets({"db": [{"password": "hunter2"}]}, Where("score", ("CONFIG",)))
    Traceback (most recent call last):
    nbgraph.errors.ExportError: Step "score": CONFIG -> password looks like a secret, ...
    """
    waiting: list[tuple[str, Any]] = [("", value)]
    looked_at = 0
    while waiting and looked_at < 10_000:
        name, found = waiting.pop()
        looked_at += 1
        if isinstance(found, str | bytes):
            is_named = isinstance(found, str) and MIXED.fullmatch(found)
            raise_if_secret(name if is_named else "", found, where.through(name) if name else where)
        elif isinstance(found, Mapping):
            waiting += [(key if isinstance(key, str) else "", item) for key, item in found.items()]
        elif isinstance(found, list | tuple | set | frozenset):
            waiting += [("", item) for item in found]
        elif found is value and not isinstance(found, type) and hasattr(found, "__dict__"):
            waiting += list(vars(found).items())


def secrets_in(text: str) -> Iterator[int]:
    """The lines of a text that hold something with the form of a key."""
    for number, line in enumerate(text.splitlines(), 1):
        if SECRET_TEXT.search(line):
            yield number
