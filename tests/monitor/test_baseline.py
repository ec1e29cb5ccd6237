"""Baselines: of tables, as files, nested bodies."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from nbgraph.errors import NbgraphError
from nbgraph.monitor import Baseline
from tests.monitor.values import BASE, CLASSES

TABLE = pd.DataFrame({"amount": BASE, "country": CLASSES})


def test_a_file_has_all_of_it(tmp_path: Path) -> None:
    baseline = Baseline.of(TABLE, at="score", every=100)
    read = Baseline.load(baseline.save(tmp_path / "march.profile"))
    assert (read.to_bytes(), read.limits, read["score"]["amount"].quantile(0.5)) == (
        baseline.to_bytes(),
        baseline.limits,
        baseline["score"]["amount"].quantile(0.5),
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(msgspec.msgpack.encode({"version": 7}), "version 7; this nbgraph reads 1"), (b"\x80\x04junk", "damaged")],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "other.profile"
    path.write_bytes(content)
    with pytest.raises(NbgraphError, match=rf"other.profile.*{message}"):
        Baseline.load(path)


def test_paths_texts_and_arrays_are_fields() -> None:
    body = {"card": {"country": "NL", "limit": 10}, "vector": [1.0, 3.0], "ok": True, "note": "a long one"}
    bodies = [{**body, "note": f"note {number}"} for number in range(60)]
    found = Baseline.of(bodies, at="a -> b")["a -> b"]
    assert {name: one.bins.kind.value for name, one in found.items()} == {
        "card.country": "class",
        "card.limit": "number",
        "vector": "other",
        "len(vector)": "number",
        "mean(vector)": "number",
        "min(vector)": "number",
        "max(vector)": "number",
        "ok": "class",
        "note": "other",
        "len(note)": "number",
    }


def test_an_unknown_field_or_edge_names_those_there_are() -> None:
    baseline = Baseline.of(TABLE, at="score")
    with pytest.raises(KeyError, match='no edge "scroe"'):
        baseline["scroe"]
    with pytest.raises(KeyError, match='Did you mean "amount"'):
        baseline["score"]["amonut"]
