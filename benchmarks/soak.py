"""Soak: python -m benchmarks.soak [MINUTES] [SEED]. One deployment of processes, numbered events of a caller a carrier,
and something killed every few seconds, chosen by the seed; then the history of answers and effects is checked.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.departures import departures
from benchmarks.faults import Callers, Fault, Outcome, flights, judged, table
from benchmarks.recorder import Recorder
from benchmarks.strikes import Processes, Strike, end_broker, kill_gateway, kill_worker
from nbgraph.deploy.broker import BrokerClient
from nbgraph.deploy.deployment import Deployment
from nbgraph.errors import DeployError

STRIKES: tuple[Strike, ...] = (kill_worker, kill_worker, kill_gateway, end_broker)
PAUSES = 3.0, 9.0  # seconds between two of them
ROUND = 1000  # events after which all callers meet, and what grows is looked at


@dataclass
class Growth:
    """What must not grow, after each round."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def look(self, deployment: Deployment) -> None:
        hosted: Any = deployment._hosted
        process = Path("/proc", str(hosted._server.pid))
        stored = sum(file.stat().st_size for file in (hosted._server.folder / "data").rglob("*") if file.is_file())
        backlog = BrokerClient(hosted._broker).backlog(["late"])
        self.rows.append(
            {"broker MB": _resident(process), "broker files": len(list((process / "fd").iterdir())),
             "kernel MB": _resident(Path("/proc/self")), "kernel files": len(list(Path("/proc/self/fd").iterdir())),
             "stored MB": stored / 2**20, "backlog": backlog}
        )  # fmt: skip

    def table(self) -> Table:
        shown = Table(title="what must not grow")
        for name in ("", *self.rows[0]):
            shown.add_column(name, justify="right")
        for label, row in (("first round", self.rows[0]), ("last round", self.rows[-1])):
            shown.add_row(label, *(f"{value:.0f}" for value in row.values()))
        return shown


def soak(minutes: float, seed: int) -> tuple[Outcome, Growth, list[str]]:
    """What came of all events, what grew, and what was done to the deployment."""
    chance, growth, done = random.Random(seed), Growth(), list[str]()
    rows, answers, longest = list[dict[str, Any]](), dict[int, Any](), 0.0
    began = time.monotonic()
    with Recorder() as recorder:
        graph = departures(recorder.address)
        with graph.deploy("process", replicas={"judging": 3}, progress=False) as deployment:
            with striking(deployment, chance, done):
                while time.monotonic() < began + minutes * 60:
                    some = numbered(ROUND, len(rows))
                    callers = Callers(deployment, some)
                    answers |= callers.run()
                    longest = max(longest, callers.longest())
                    rows += some
                    with suppress(OSError):  # the broker is only being started again
                        growth.look(deployment)
            growth.look(deployment)
            recorder.wait(len(rows))
    expected = {answer["number"]: answer for answer in departures().stream(rows)}
    found = Outcome(len(rows), longest=longest, seconds=time.monotonic() - began)
    found.wrong = sum(answers.get(number) != answer for number, answer in expected.items())
    return judged(found, recorder.effects(), expected), growth, done


def numbered(events: int, first: int) -> list[dict[str, Any]]:
    """The same flights in each round, under numbers that go on."""
    return [{**row, "number": first + row["number"]} for row in flights(events)]


class striking:  # noqa: N801
    """Meanwhile something is killed every few seconds."""

    def __init__(self, deployment: Deployment, chance: random.Random, done: list[str]) -> None:
        self._deployment, self._chance, self._done = deployment, chance, done
        self._is_over, self._pool = threading.Event(), ThreadPoolExecutor(1)

    def __enter__(self) -> None:
        self._striking = self._pool.submit(self._strike)

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._striking.result()
        self._pool.shutdown()

    def _strike(self) -> None:
        while not self._is_over.wait(self._chance.uniform(*PAUSES)):
            strike = self._chance.choice(STRIKES)
            try:
                strike(self._deployment, Processes(self._deployment))
                self._done.append(strike.__name__)
            except (IndexError, OSError, ValueError, DeployError):
                continue  # whoever was meant is only being started again


def _resident(process: Path) -> float:
    pages = int((process / "statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main(words: list[str]) -> int:
    minutes = float(words[0]) if words else 10.0
    seed = int(words[1]) if len(words) > 1 else random.randrange(10**6)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(f"[dim]{minutes:g} minutes, seed {seed}[/]")
    found, growth, done = soak(minutes, seed)
    told = ", ".join(f"{done.count(name)} x {name.replace('_', ' ')}" for name in sorted(set(done)))
    console.print(table([("process", Fault(told or "nothing happens"), found)]))
    console.print(growth.table())
    return 0 if found.is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
