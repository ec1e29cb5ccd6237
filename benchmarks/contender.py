"""Contender: one implementation of the works, in a process of its own that stays warm between rounds."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.interpreters import interpreter

SCRIPTS = Path(__file__).parent / "contenders"
SECONDS = 120


class ContenderError(Exception):
    """A contender ended, or did not answer in time."""


@dataclass(frozen=True)
class Answer:
    seconds: float
    result: Any


class Contender:
    """A script of the folder `contenders`, asked over its standard input."""

    def __init__(self, script: str, environment: str | None = None) -> None:
        python = interpreter(environment)
        if python is None:
            raise ContenderError("not installed")
        command = [python, "-W", "ignore", str(SCRIPTS / script)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._complaints: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._complain, daemon=True).start()

    def ask(self, work: str, events: int) -> Answer:
        assert self._process.stdin is not None
        try:
            print(json.dumps({"work": work, "events": events}), file=self._process.stdin, flush=True)
            line = self._lines.get(timeout=SECONDS)
        except (OSError, queue.Empty) as error:
            raise ContenderError(f"no answer: {error!r}") from error
        if not line:
            raise ContenderError("ended: " + "".join(self._complaints[-1:]).strip())
        return Answer(**json.loads(line))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._process.wait()
        self._lines.put("")

    def _complain(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._complaints = [*self._complaints[-20:], line]


def main() -> None:
    """Ask one contender by hand: python -m benchmarks.contender with_nbgraph.py "chain 3" 1000 [ENVIRONMENT]."""
    script, work, events, *environment = sys.argv[1:]
    contender = Contender(script, *environment)
    print(contender.ask(work, int(events)))
    contender.end()


if __name__ == "__main__":
    main()
