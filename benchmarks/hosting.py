"""What a deployment of two functions costs, on each target that answers here."""

from __future__ import annotations

from benchmarks.contender import Contender, ContenderError

REQUESTS = 500
TARGETS = ("process", "docker")
FIGURES = {  # what it is called, its factor, its unit
    "first start": ("the first start, with images to build", 1, "s"),
    "start": ("start", 1, "s"),
    "stop": ("stop", 1, "s"),
    "p50": ("a request, one caller: half are quicker", 1e3, "ms"),
    "p99": ("a request, one caller: 99 of 100 are quicker", 1e3, "ms"),
    "rate": ("requests, 64 callers", 1, "a second"),
    "memory": ("memory of a worker", 1, "MB"),
    "image": ("image of a function", 1, "MB"),
}


def measure() -> tuple[dict[str, dict[str, float]], list[str]]:
    """The figures of each target, and why others have none."""
    found: dict[str, dict[str, float]] = {}
    problems = []
    for target in TARGETS:
        contender = Contender("hosting.py")
        try:
            found[target] = contender.ask(target, REQUESTS).result
        except ContenderError as error:
            problems.append(f"{target}: not measured: {error}")
        finally:
            contender.end()
    return found, problems
