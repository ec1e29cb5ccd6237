"""How the benchmark talks with a contender: one line of JSON asks for a piece of work, one line answers.

Every contender runs in a process of its own, with its own interpreter, so this file uses the standard library only.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

Run = Callable[[int], Any]  # does the work for that many events; the result lets contenders be compared
Prepare = Callable[[], Run]  # builds what is not measured: graphs, servers, tables


def serve(works: Mapping[str, Prepare]) -> None:
    """Answer until standard input ends: {"work": "chain 3", "events": 1000} -> {"seconds": 0.1, "result": 1003}."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    prepared: dict[str, Run] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        work = asked["work"]
        if work not in prepared:
            prepared[work] = works[work]()
        seconds, result = timed(prepared[work], asked["events"])
        print(json.dumps({"seconds": seconds, "result": result}), file=answers, flush=True)
    os._exit(0)  # some contenders leave threads behind that never end


def timed(run: Run, events: int) -> tuple[float, Any]:
    gc.collect()
    started = time.perf_counter()
    result = run(events)
    return time.perf_counter() - started, result


def one_by_one(call: Callable[[int], Any]) -> Run:
    """The work of calling with 0, 1, 2, ..., each time waiting for the answer."""

    def run(events: int) -> Any:
        answer = None
        for number in range(events):
            answer = call(number)
        return answer

    return run
