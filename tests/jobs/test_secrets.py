"""Secrets: redacted fields stand in no file of a job but its result; nothing of the environment does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph


def kept(folder: Path) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in (folder / "_job").rglob("*") if path.is_file())


def test_what_is_redacted_is_in_no_record_and_no_dead_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "tok-8472")

    def refused(row: dict[str, Any], context: Any = None) -> dict[str, Any]:
        raise ValueError(f"no customer has the card {row['card']}")

    graph = Graph("pay")
    graph.redacted = {"card"}
    graph.to(lambda row: {**row, "twice": row["amount"] * 2}, "twice").to(refused, "refused")
    rows = [{"card": f"4111-{at:04}", "amount": at} for at in range(20)]
    job = graph.job(rows, tmp_path / "out", workers=1, progress=False).wait(60)
    failure = job.failures()[3]
    everything = kept(tmp_path / "out")
    assert ("4111-" in everything, "tok-8472" in everything) == (False, False)
    assert (failure.error, failure.event.body, failure.input, failure.row) == (
        "ValueError: no customer has the card •••", {"card": "•••", "amount": 3},
        {"card": "•••", "amount": 3, "twice": 6}, 3,
    )  # fmt: skip


def test_the_folder_is_its_owners(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(lambda row: row, "row")
    graph.job([{"x": 1}], tmp_path / "out", engine="thread", progress=False).wait(60)
    assert (tmp_path / "out" / "_job").stat().st_mode & 0o777 == 0o700
