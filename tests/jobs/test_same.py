"""The same: random graphs, cut at random places, killed at random rows, answer what `graph.stream` does."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Graph, StepError

Row = dict[str, Any]


def fails(row: Row) -> Row:
    return {**row, "q": 100 // (row["x"] % 7)}


def twice(row: Row) -> Iterator[Row]:
    yield {**row, "half": 1}
    yield {**row, "half": 2}


async def waits(row: Row) -> Row:
    await asyncio.sleep(0)
    return {**row, "w": row["x"] + 1}


async def fails_late(row: Row) -> Row:
    await asyncio.sleep(0.001 * (row["x"] % 3))
    return {**row, "l": 10 // (row["x"] % 5)}


def in_place(row: Row) -> Row:
    row["x"] += 1
    return row


def steps(graph: Graph, names: list[str]) -> Graph:
    last: Any = graph
    for number, name in enumerate(names):
        called = f"{name}{number}"
        match name:
            case "filter":
                last = last.to("Filter", called, fn="event['x'] % 3 != 1")
            case "branch":
                first = last.to(in_place, called)
                first.to(lambda row: {**row, "way": 1}, f"{called}a", when="event['x'] % 2 == 0")
                last = first.to(in_place, f"{called}b", otherwise=True)
            case "wait":
                last = last.to(waits, called)
            case "late":
                last = last.to(fails_late, called, concurrency=4)
            case "saved":
                last = last.to(fails, called)
                last.error_handler(lambda event: {"saved": True}, f"{called}h")
            case _:
                last = last.to({"fail": fails, "twice": twice, "place": in_place}[name], called)
    return graph


NAMES = ["filter", "branch", "wait", "late", "saved", "fail", "twice", "place"]


def told(graph: Graph, rows: list[Row]) -> tuple[list[Any], list[str]]:
    """The answers and errors of `graph.stream`."""
    answers, errors = [], []
    given = graph.stream(msgspec.json.decode(msgspec.json.encode(rows)))
    while True:
        try:
            answers.append(next(given))
        except StopIteration:
            return answers, errors
        except StepError as error:
            errors.append(error.step)


@given(
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    numbers=st.lists(st.integers(0, 40), max_size=40),
    part_rows=st.integers(1, 15),
    workers=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_random_graphs_and_cuts(names: list[str], numbers: list[int], part_rows: int, workers: int) -> None:
    rows = [{"x": number} for number in numbers]
    graph = steps(Graph("any"), names)
    folder = Path(tempfile.mkdtemp())
    try:
        job = graph.job(
            rows, folder / "out.jsonl", engine="thread", workers=workers, part_rows=part_rows, progress=False,
            name=f"any-{folder.name}",
        ).wait(60)  # fmt: skip
        lines = (folder / "out.jsonl").read_bytes().splitlines()
        failures = job.failures(1000)
        found = [msgspec.json.decode(line) for line in lines], [one.step for one in failures]
        assert found == told(graph, rows)
        assert [one.event.body for one in failures] == [rows[one.row] for one in failures]
    finally:
        shutil.rmtree(folder)


@given(
    deadly=st.sets(st.integers(0, 15), min_size=1, max_size=1),
    part_rows=st.sampled_from([5, 16]),
)
@settings(max_examples=2, deadline=None)
def test_random_rows_that_kill(deadly: set[int], part_rows: int) -> None:
    def step(row: Row) -> Row:
        if row["x"] in deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return row

    graph = Graph("deadly")
    graph.to(step, "step").to(twice, "twice")
    folder = Path(tempfile.mkdtemp())
    try:
        job = graph.job(
            [{"x": at} for at in range(16)], folder / "out.jsonl", workers=2, part_rows=part_rows, retries=0,
            progress=False, name=f"deadly-{folder.name}",
        ).wait(120)  # fmt: skip
        found = [msgspec.json.decode(line)["x"] for line in (folder / "out.jsonl").read_bytes().splitlines()]
        assert found == [at for at in range(16) if at not in deadly for _ in (1, 2)]
        assert [one.row for one in job.failures()] == sorted(deadly)
    finally:
        shutil.rmtree(folder)
