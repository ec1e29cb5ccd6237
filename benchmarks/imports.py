"""What an import costs: time and memory above those of a bare interpreter, each time in a fresh process."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from statistics import median

from benchmarks.interpreters import interpreter

ROUNDS = 5
MEMORY = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
IMPORTS: dict[str, tuple[str, str | None]] = {
    "python": ("", None),
    "nbgraph": ("import nbgraph", None),
    "nbgraph.serve": ("import nbgraph.serve", None),
    "storey": ("import storey", "streams"),
    "mlrun": ("import mlrun", "mlrun"),
}


@dataclass(frozen=True)
class Cost:
    milliseconds: float
    megabytes: float


def measure() -> dict[str, Cost]:
    """The medians of fresh starts that take turns; `python` is the bare start that the others are above of."""
    rounds: dict[str, list[Cost]] = {name: [] for name in IMPORTS}
    for _ in range(ROUNDS):
        for name, (statement, environment) in IMPORTS.items():
            python = interpreter(environment)
            cost = python and _start(python, statement)
            if cost:
                rounds[name].append(cost)
    medians = {name: _median(costs) for name, costs in rounds.items() if costs}
    bare = medians.pop("python")
    above = {
        name: Cost(cost.milliseconds - bare.milliseconds, cost.megabytes - bare.megabytes)
        for name, cost in medians.items()
    }
    return {"python": bare, **above}


def _start(python: str, statement: str) -> Cost | None:
    started = time.perf_counter()
    done = subprocess.run(
        [python, "-W", "ignore", "-c", f"{statement}\n{MEMORY}"], capture_output=True, text=True, timeout=60
    )
    seconds = time.perf_counter() - started
    return None if done.returncode else Cost(seconds * 1000, int(done.stdout.split()[-1]) / 1024)


def _median(costs: list[Cost]) -> Cost:
    return Cost(median(cost.milliseconds for cost in costs), median(cost.megabytes for cost in costs))
