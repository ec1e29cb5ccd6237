"""A feature store from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from nbgraph.cli import app
from nbgraph.errors import FeatureError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector

ROWS = [{"card": "c-1", "time": "2026-01-01T10:00", "v": 1.0}, {"card": "c-2", "time": "2026-01-01T11:00", "v": None}]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = FeatureStore(tmp_path / "store")
    store.add(FeatureSet("cards", key="card", time="time", features=["v"]))
    store.add(FeatureVector("v", ["cards.v"]))
    pl.DataFrame(ROWS).write_parquet(tmp_path / "rows.parquet")
    return tmp_path / "store"


def nbgraph(*words: object) -> str:
    result = CliRunner().invoke(app, ["features", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_a_store_is_filled_and_looked_at(store: Path, tmp_path: Path) -> None:
    given = ["ingest", "cards", tmp_path / "rows.parquet", "--store", store, "--json"]
    done = json.loads(nbgraph(*given))
    assert [done[name] for name in ("version", "written", "skipped")] == [0, 2, False]
    assert json.loads(nbgraph(*given))["skipped"]
    listed = json.loads(nbgraph("list", "--store", store, "--json"))
    assert [(each["name"], each["kind"], each["features"]) for each in listed] == [
        ("cards", "set", 1),
        ("v", "vector", 1),
    ]
    assert json.loads(nbgraph("show", "cards@1", "--store", store))["schema"] == {
        "card": "text",
        "time": "time",
        "v": "float",
    }
    assert json.loads(nbgraph("stats", "cards", "--store", store, "--json"))[0]["mean"] == 1.0
    assert nbgraph("delete", "cards", "c-1", "--store", store) == "1\n"
    assert [each["version"] for each in json.loads(nbgraph("history", "cards", "--store", store, "--json"))] == [0, 1]


def test_what_is_not_there_is_said_and_no_folder_is_made(store: Path, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match='has no "shops"; it has: cards, v'):
        nbgraph("stats", "shops", "--store", store)
    command = [sys.executable, "-m", "nbgraph.cli", "features", "list", "--store", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, f"nbgraph: There is no feature store at {tmp_path / 'none'}.\n")
    assert not (tmp_path / "none").exists()
