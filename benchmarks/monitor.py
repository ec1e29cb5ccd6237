"""What watching costs, how often it rings for nothing, how late it rings: `python -m benchmarks.monitor`.

The peers (whylogs, river) are measured where they are installed; each figure is CPU time of this process.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from nbgraph import Event, Graph
from nbgraph.monitor import Baseline, Drift
from nbgraph.monitor.counting.tally import EdgeCounts, EdgeTally
from nbgraph.monitor.counting.tap import TapBuffer
from nbgraph.monitor.evaluation import Evaluation
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.statistics.limit import Limit, verdicts

FIELDS = 10


def bodies(count: int, seed: int = 0, fields: int = FIELDS) -> list[dict[str, Any]]:
    """Dictionaries: eight numbers in ten, a text and a whole number."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {f"x{n}": rng.normal(size=count).tolist() for n in range(fields - 2)}
    columns["country"] = rng.choice(["NL", "DE", "FR"], count).tolist()
    columns["age"] = rng.integers(0, 90, count).tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def nanoseconds(work: Callable[[], object], times: int) -> float:
    """CPU time of one of so many things that `work` does, the least of five rounds."""
    found = []
    for _ in range(5):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) / times * 1e9)
    return min(found)


def cost() -> None:
    """A field and event: on the event's own thread, and counted."""
    rows, events = bodies(10_000), [Event(None) for _ in range(10_000)]
    base = Baseline.of(rows, at="a -> b")["a -> b"]
    buffer = TapBuffer()
    buffer.is_flat = True

    def tell() -> None:
        for begin in range(0, 10_000, 250):
            for body, event in zip(rows[begin : begin + 250], events[begin : begin + 250], strict=True):
                buffer.tap(body, event)
            buffer.take()

    tally = EdgeTally(base)
    kept = list(zip(rows, events, strict=True))

    def count() -> None:
        for begin in range(0, 10_000, 250):
            tally.add(kept[begin : begin + 250])

    each = 10_000 * FIELDS
    print(
        f"a field and event: {nanoseconds(tell, each):.0f} ns on its thread, {nanoseconds(count, each):.0f} ns counted"
    )
    parts = [_counted(base, rows[begin : begin + 1250]) for begin in range(0, 10_000, 1250)]
    print(f"merge of 8 x {FIELDS} fields: {nanoseconds(lambda: sum(parts[1:], parts[0]), 1) / 1e6:.2f} ms")
    one = msgspec.msgpack.encode(parts[0].fields["x0"])
    print(f"a window record of a field: {len(one)} B")


def _counted(base: Any, rows: list[dict[str, Any]]) -> EdgeCounts:
    tally = EdgeTally(base)
    tally.add([(row, Event(None)) for row in rows])
    return tally.close(0.0, 60.0)


def judged() -> None:
    """A thousand fields."""
    rng = np.random.default_rng(3)
    base = [rng.multinomial(10_000, [0.1] * 10) for _ in range(1000)]
    now = [rng.multinomial(500, [0.1] * 10) for _ in range(1000)]
    limits = [Limit(0.1, is_learnt=True)] * 1000
    taken = nanoseconds(lambda: verdicts(now, base, limits, 1000), 1)
    print(f"verdict of 1,000 fields: {taken / 1e6:.0f} ms")


def spinning(seconds: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A step that takes that long."""

    def step(body: dict[str, Any]) -> dict[str, Any]:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass
        return body

    return step


def stream(seconds: float, events: int) -> None:
    """A run of three steps, watched and not, in turns."""
    graph = Graph("three")
    graph.to(spinning(seconds), "one").to(spinning(seconds), "two").to(spinning(seconds), "three").respond()
    rows = bodies(events)
    baseline = graph.profile(rows[:2000], every=200)
    found: dict[bool, list[float]] = {True: [], False: []}
    shares = []
    for _ in range(5):
        for is_watched in (False, True):
            graph.monitor(baseline) if is_watched else graph.monitor(None)
            with graph.start() as run:
                began = time.perf_counter()
                for row in rows:
                    future = run.push(row)
                future.result()
                found[is_watched].append(time.perf_counter() - began)
                shares += [run.monitor.sampled] if is_watched else []
    ratio = min(found[True]) / min(found[False])
    median = statistics.median(found[True]) / statistics.median(found[False])
    print(
        f"steps of {seconds * 1e6:.0f} us: watched / not {ratio:.3f} (least), {median:.3f} (median), "
        f"sampled share {min(shares):.2f} to {max(shares):.2f}"
    )


def alarms(seeds: int, fields: int = 20, events: int = 100_000, every: int = 500) -> None:
    """Alerts on stable numbers, and how many events a shift at 5,000 takes."""
    false: list[int] = []
    late: dict[float, list[float]] = {0.3: [], 0.5: []}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        base = Baseline.of(
            [dict(enumerate_names(row)) for row in rng.normal(size=(10_000, fields)).tolist()], at="a -> b", every=every
        )
        false.append(len(_fired(base, rng.normal(size=(events, fields)), every)))
        for shift, delays in late.items():
            values = rng.normal(size=(40_000, fields))
            values[5000:, 0] += shift
            fired = _fired(base, values, every)
            delays.append(fired[0] + every - 5000 if fired else float("inf"))
    print(f"alerts on {events:,} stable events of {fields} fields: {false}, median {statistics.median(false):g}")
    for shift, delays in late.items():
        print(f"a shift of {shift} sd: {statistics.median(delays):g} events (median), {max(delays):g} (most)")


def enumerate_names(row: list[float]) -> list[tuple[str, float]]:
    """Values under names of fields."""
    return [(f"x{place}", value) for place, value in enumerate(row)]


def _fired(base: Baseline, values: Any, every: int) -> list[float]:
    """The beginnings of the windows in which an alert fires."""
    evaluation = Evaluation(Monitor(base, rules=[Drift()]), base)
    profile, fired = base["a -> b"], []
    for begin in range(0, len(values) - every + 1, every):
        tally = EdgeTally(profile)
        block = values[begin : begin + every].tolist()
        tally.add([(dict(enumerate_names(row)), Event(None)) for row in block])
        for alert in evaluation.look([tally.close(float(begin), float(begin + every))]):
            fired += [float(begin)] if alert.state == "firing" else []
    return fired


def peers() -> None:
    """What others take for a field and event."""
    rows = bodies(2000)
    if importlib.util.find_spec("river") is not None:
        from river import drift

        detectors = {name: drift.ADWIN() for name in rows[0] if name != "country"}

        def update() -> None:
            for row in rows:
                for name, detector in detectors.items():
                    detector.update(row[name])

        print(f"river ADWIN: {nanoseconds(update, 2000 * len(detectors)):.0f} ns a field and event")
    if importlib.util.find_spec("whylogs") is not None:
        import whylogs

        def log() -> None:
            for row in rows[:200]:
                whylogs.log(row=row)

        print(f"whylogs by row: {nanoseconds(log, 200 * FIELDS):.0f} ns a field and event")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    cost()
    judged()
    peers()
    stream(100e-6, 2_000)
    stream(1e-6, 60_000)
    alarms(given.seeds)


if __name__ == "__main__":
    main()
