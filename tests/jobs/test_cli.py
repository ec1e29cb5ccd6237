"""The command line: a job by its words, its status by how it ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from nbgraph import Graph

HANDLERS = """
import time
PAUSE = 0.0
def double(row):
    time.sleep(row.get("pause", 0))
    return {"twice": row["x"] * 2}
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    graph = Graph("doubled")
    graph.to("double").respond()
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "good.jsonl").write_text("".join(f'{{"x": {at}}}\n' for at in range(10)))
    (tmp_path / "bad.jsonl").write_text('{"x": 1}\n{"y": 2}\n')
    (tmp_path / "slow.jsonl").write_text("".join(f'{{"x": {at}, "pause": 0.05}}\n' for at in range(200)))
    return graph.save(tmp_path / "graph.yaml")


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "nbgraph.cli", "job", *map(str, words)]


def test_status_tells_how_it_ended(saved: Path, tmp_path: Path) -> None:
    found = []
    for source in ("good", "bad", "none"):
        words = command(saved, tmp_path / f"{source}.jsonl", tmp_path / source, "--workers", "1")
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        found.append((done.returncode, done.stdout.strip(), done.stderr.strip()[:60]))
    assert found == [
        (0, "10 rows, 10 written, 0 failed", ""),
        (3, "2 rows, 1 written, 1 failed", "nbgraph: row 1, step \"double\": KeyError: 'x'"),
        (1, "", f"nbgraph: A job finds no file {tmp_path}"[:60]),
    ]
    assert pd.read_parquet(tmp_path / "good")["twice"].tolist() == [at * 2 for at in range(10)]


def test_interrupted_and_gone_on_with(saved: Path, tmp_path: Path) -> None:
    words = command(
        saved, tmp_path / "slow.jsonl", tmp_path / "out.csv", "--workers", "2", "--part-rows", "20", "--json"
    )
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list((tmp_path / "out.csv.job").glob("part-*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    again = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (process.returncode, "the same command goes on" in told, json.loads(again.stdout)["written"]) == (
        130,
        True,
        200,
    )
    assert pd.read_csv(tmp_path / "out.csv")["twice"].tolist() == [at * 2 for at in range(200)]
