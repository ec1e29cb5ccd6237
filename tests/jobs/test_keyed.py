"""Keyed jobs: rows of a key stay together; what would answer otherwise than `graph.stream` is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbgraph import Graph, JobError
from nbgraph.steps import AggregateByKey, Batch, FieldAggregator, SlidingWindows

Row = dict[str, Any]
ROWS = [
    {"card": f"c{at * 7 % 23}", "shop": at % 5, "at": at * 60, "amount": at % 11}
    for at in range(1_000)
]  # fmt: skip


class Count:
    """A step of one's own that counts by card."""

    def __init__(self) -> None:
        self.state: dict[str, dict[Any, int]] = {"seen": {}}

    def do(self, row: Row) -> Row:
        seen = self.state["seen"]
        seen[row["card"]] = seen.get(row["card"], 0) + 1
        return {**row, "n": seen[row["card"]]}


def windows(key: Any = "card", **more: Any) -> AggregateByKey:
    paid = FieldAggregator("paid", "amount", ["sum", "count"], SlidingWindows(["1h"], "10m"))
    return AggregateByKey([paid], key=key, time_field="at", **more)


def run(graph: Graph, folder: Path, **more: Any) -> pd.DataFrame:
    options = {"key": "card", "workers": 2, **more}
    job = graph.job(ROWS, folder, engine="thread", part_rows=150, progress=False, **options)
    return job.wait(60).result()


@pytest.mark.parametrize("step", [windows(), windows(["card", "shop"]), windows(None), Count])
def test_within_each_key_it_is_what_stream_answers(tmp_path: Path, step: Any) -> None:
    graph = Graph("g")
    graph.to(lambda row: {**row, "amount": row["amount"] + 1}, "more").to(step, "step")
    expected = pd.DataFrame(Graph.__copy__(graph).stream(ROWS, key="card"))
    found = run(graph, tmp_path / "out")
    for card in {row["card"] for row in ROWS}:
        one, other = (frame[frame["card"] == card].reset_index(drop=True) for frame in (found, expected))
        pd.testing.assert_frame_equal(one, other)
    assert len(found) == 1_000


def test_batches_by_key(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(Batch(4, key="card"), "four").to(
        lambda rows: {"card": rows[0]["card"], "sum": sum(row["at"] for row in rows)}
    )
    expected = pd.DataFrame(graph.stream(ROWS))
    by_both = ["card", "sum"]
    found = run(graph, tmp_path / "out").sort_values(by_both).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected.sort_values(by_both).reset_index(drop=True))


def test_a_key_that_a_step_changes_on_the_way_is_refused_not_answered_otherwise(tmp_path: Path) -> None:
    for number, step in enumerate((windows(), Batch(50, key="card"), Count)):
        graph = Graph("g")
        graph.to(lambda row: {**row, "card": row["card"][:2]}, "shorter").to(step, "step")
        with pytest.raises(JobError, match=r'Step "step" keeps its state by \'c.\', which is not the key'):
            run(graph, tmp_path / str(number))


@pytest.mark.parametrize(
    ("step", "key", "told"),
    [
        (windows(), None, 'key="card"'),
        (windows(), "shop", r"remembers by 'card', and the job is cut by key='shop'"),
        (windows(expire="2h"), "card", "workers=1"),
        (windows(None), None, "name the field that it is"),
        (Batch(3), "card", "remembers over all events"),
    ],
)
def test_what_can_not_be_cut_is_refused_with_the_ways_out(tmp_path: Path, step: Any, key: Any, told: str) -> None:
    graph = Graph("g")
    graph.to(step, "step")
    with pytest.raises(JobError, match=rf'Step "step" .*{told}'):
        run(graph, tmp_path / "out", key=key)


def test_in_one_piece_it_is_what_stream_answers(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(Batch(3), "three").to(lambda rows: {"sum": sum(row["at"] for row in rows)}, "sum")
    pd.testing.assert_frame_equal(run(graph, tmp_path / "out", key=None, workers=1), pd.DataFrame(graph.stream(ROWS)))


def test_with_a_key_and_no_memory_the_order_is_the_sources(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(lambda row: row, "row")
    assert run(graph, tmp_path / "out")["at"].tolist() == [row["at"] for row in ROWS]


def test_what_is_remembered_beside_the_state_is_said(tmp_path: Path) -> None:
    class Numbered:
        def __init__(self) -> None:
            self.n = 0
            self.last = ""
            self.shops: set[int] = set()

        def do(self, row: Row) -> Row:
            self.n += 1
            self.last = row["card"]
            self.shops.add(row["shop"])
            return {**row, "n": self.n}

    seen: list[int] = []

    def noted(row: Row) -> Row:
        seen.append(row["at"])
        return row

    graph = Graph("g")
    graph.to(Numbered, "numbered").to(noted, "noted").to(lambda row: dict(row), "plain")
    with pytest.warns(UserWarning, match="each worker of a job has its own") as told:
        run(graph, tmp_path / "out", key=None)
    assert [str(one.message).partition(" while")[0] for one in told] == [
        'Step "numbered" changes self.last, self.n, self.shops', 'Step "noted" changes seen',
    ]  # fmt: skip


def test_a_table_in_memory_is_refused(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to("TableTarget", "kept", table={}, key="card")
    with pytest.raises(JobError, match='Step "kept" writes to a table in memory'):
        run(graph, tmp_path / "out")
