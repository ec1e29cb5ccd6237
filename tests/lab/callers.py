"""Callers: plain HTTP clients that never stop asking, and what they saw."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Seen:
    """What was sent and answered, in this order; and what went wrong."""

    sent: list[int] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def calling(url: str, callers: int = 3, body: Callable[[int], Any] = int) -> Iterator[Seen]:
    """Send numbers, or what is made of them, some over connections that they keep, until the block is left."""
    seen, stop = Seen(), threading.Event()
    address = urllib.parse.urlsplit(url)
    lock = threading.Lock()

    def call(number: int, connection: http.client.HTTPConnection) -> None:
        try:
            connection.request("POST", "/", json.dumps(body(number)), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            seen.failures.append(type(error).__name__)
            stop.wait(0.01)
            return
        with lock:
            if response.status == http.client.OK:
                seen.sent.append(number)
                seen.answers.append(json.loads(answer))
            else:
                seen.failures.append(f"{response.status}: {answer}")

    def caller(start: int, keeps: bool) -> None:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        number = start
        while not stop.is_set():
            call(number, connection)
            number += callers
            if not keeps:
                connection.close()
        connection.close()

    threads = [threading.Thread(target=caller, args=(start, bool(start % 2))) for start in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
