"""Ingests: what they take, what they refuse, what a second one changes, and what is left when one fails."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nbgraph import Event, Graph, StepError
from nbgraph.errors import FeatureError, GraphError, SchemaError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.steps import CSVSource

DAY = "2026-01-01T"
Row = dict[str, Any]


def rows(count: int = 3, **fields: Any) -> list[Row]:
    return [{"k": f"k{i}", "t": f"{DAY}10:0{i}", "v": float(i), **fields} for i in range(count)]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def plain(store: FeatureStore) -> FeatureSet:
    return store.add(FeatureSet("plain", key="k", time="t"))


def inverse(row: Row) -> Row:
    return {**row, "v": 1 / row["v"]}


def inverting(store: FeatureStore) -> FeatureSet:
    graph = Graph("inverted")
    graph.to(inverse)
    return store.add(FeatureSet(graph, key="k", time="t"))


def test_rows_of_every_kind_are_the_same_rows(store: FeatureStore, plain: FeatureSet, tmp_path: Path) -> None:
    frame = pl.DataFrame(rows())
    frame.write_csv(tmp_path / "rows.csv")
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_ndjson(tmp_path / "rows.jsonl")
    given: list[Any] = [
        rows(), frame, pd.DataFrame(rows()), frame.to_arrow(), frame.lazy(), iter(rows()), map(Event, rows()),
        tmp_path / "rows.parquet", str(tmp_path / "rows.jsonl"), CSVSource(str(tmp_path / "rows.csv")),
    ]  # fmt: skip
    assert [plain.ingest(each, id=str(number)).written for number, each in enumerate(given)] == [3] * 10
    stored = plain.frame()
    assert len(stored) == 30
    assert stored.drop_duplicates().to_dict("list") == {
        "k": ["k0", "k1", "k2"],
        "t": [pd.Timestamp(f"{DAY}10:0{i}", tz="UTC") for i in range(3)],
        "v": [0.0, 1.0, 2.0],
    }


def test_the_same_rows_again_are_skipped_from_whatever_they_come(plain: FeatureSet, tmp_path: Path) -> None:
    table = pa.Table.from_pylist(rows())
    found = [plain.ingest(each) for each in (rows(), pd.DataFrame(rows()), pl.DataFrame(rows()), table)]
    assert [(each.skipped, each.version) for each in found] == [(False, 0), (True, 0), (True, 0), (True, 0)]
    assert "same as version 0; give id= to count it again" in found[1]._repr_html_()


def test_an_ingest_of_bad_rows_alone_says_nothing_of_columns(store: FeatureStore) -> None:
    found = inverting(store).ingest([{"k": "a", "t": DAY + "10:00", "v": 0}], on_error="skip")
    assert (found.version, found.online_version, found.written, found.failed) == (None, None, 0, 1)
    assert store["inverted"].ingest(rows()[1:]).version == 0


def test_schemas_grow_and_refuse(plain: FeatureSet) -> None:
    plain.ingest(rows(n=1))
    assert plain.schema == {"k": "text", "t": "time", "v": "float", "n": "int"}
    grown = plain.ingest(rows(place="PT"))
    assert sorted(grown.changes) == [
        'column "n" is missing; filled with nulls', 'new column "place" (text); rows before have none',
    ]  # fmt: skip
    assert plain.ingest([{"k": "k", "t": DAY + "12:00", "v": 7}]).written == 1
    with pytest.raises(SchemaError, match=r'column "n" of the set "plain" holds int and has the float 1.5.*version=2'):
        plain.ingest(rows(n=1.5))
    with pytest.raises(SchemaError, match=r'"v" of the set "plain" holds float and has the text .x'):
        plain.ingest(pd.DataFrame(rows(1)).assign(v="x"))
    assert plain.frame()["v"].tolist() == [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 7.0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"k": None, "t": f"{DAY}10:00", "v": 1.0}, 'key "k" .* is missing .row 3'),
        ({"k": "a", "t": None, "v": 1.0}, 'time "t" of the set "plain" is missing'),
        ({"k": "a", "t": "noon", "v": 1.0}, 'time "t" is no time'),
        ({"k": "a", "t": f"{DAY}10:00", "v": "x"}, "has the text 'x'"),
        ({"k": "a", "t": f"{DAY}10:00", "v": 1.0, "n": 2**70}, "beyond 64 bits"),
        ({"k": "a", "t": f"{DAY}10:00", "v": {"a": 1}}, "has the dict"),
    ],
)
def test_a_bad_row_is_an_error_or_left_out(plain: FeatureSet, bad: Row, message: str) -> None:
    given = [*rows(n=1), bad]
    with pytest.raises(FeatureError, match=message):
        plain.ingest(given)
    assert plain.offline.version() is None
    found = plain.ingest(given, on_error="skip")
    assert (found.written, found.failed, [each.event.body for each in found.failures()]) == (3, 1, [bad])
    assert len(plain.frame()) == 3


def test_a_step_that_fails(store: FeatureStore) -> None:
    inverted = inverting(store)
    with pytest.raises(StepError, match="ZeroDivisionError"):
        inverted.ingest(rows())
    found = inverted.ingest(rows(), on_error="skip")
    assert (found.written, [(each.step, each.event.body) for each in found.failures()]) == (2, [("inverse", rows()[0])])
    assert inverted.graph is not None
    debugger = inverted.graph.debug(found.failures()[0])
    assert debugger.current is not None
    assert debugger.current.step == "inverse"


def test_rules(store: FeatureStore) -> None:
    strict = store.add(FeatureSet("strict", key="k", time="t", rules={"v": {"min": 1, "required": True}}))
    with pytest.raises(FeatureError, match=r'rules of the set "strict": v is 0.0, less than 1 .row 0'):
        strict.ingest(rows())
    assert strict.ingest(pd.DataFrame(rows()), on_error="skip").written == 2


def test_odd_values_stay_what_they_are(plain: FeatureSet) -> None:
    given = [
        {"k": "a", "t": "1815-06-18", "v": float("inf"), "s": "x" * 10_000_000, "b": b"\x00", "l": [1.5, None]},
        {"k": "b", "t": "9999-12-31T23:59:59", "v": float("nan"), "s": "'; DROP", "b": None, "l": []},
        {"k": "ключ/..\"'", "t": np.datetime64(f"{DAY}10:00:00.123456789"), "v": -0.0, "s": "", "b": b"", "l": None},
    ]  # fmt: skip
    plain.ingest(given)
    found = plain.offline.frame().sort("_seq").drop("_seq", "_written").collect().to_dicts()
    assert [row["t"] for row in found] == [
        datetime(1815, 6, 18, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 1, 1, 10, 0, 0, 123456, tzinfo=UTC),
    ]  # fmt: skip
    assert [[row[name] for name in "kvbl"] for row in found] == [
        ["a", float("inf"), b"\x00", [1.5, None]], ["b", None, None, []], ["ключ/..\"'", -0.0, b"", None],
    ]  # fmt: skip
    vector = plain.store.add(FeatureVector("v", ["plain.v", "plain.b"]))
    assert vector.online({"k": "ключ/..\"'"}) == {"v": -0.0, "b": b""}


def test_what_an_ingest_may_not_be_given(plain: FeatureSet) -> None:
    for given, message in [
        (7, "given a int; expected"),
        ("nothing.parquet", "can't be read"),
        ("notes.txt", "ends in none of"),
        ([{"k": "a"}], 'time "t", and the rows have no such field'),
        ([1, 2], "stores dicts, and row 0"),
        ([{"k": "a", "t": 0, "_seq": 1}], 'has the field "_seq"'),
    ]:
        with pytest.raises(FeatureError, match=message):
            plain.ingest(given)
    with pytest.raises(FeatureError, match="expected one of: raise, skip"):
        plain.ingest(rows(), on_error="ignore")


@pytest.mark.parametrize("name", ["a/b", "..", 'a"b', "a" * 300, "", "a.b"])
def test_a_name_is_a_folders_name(name: str) -> None:
    with pytest.raises(GraphError, match="a name is of letters, digits, _ and -"):
        FeatureSet(name, key="k")


def test_the_same_definition_again_is_nothing_and_another_is_refused(store: FeatureStore) -> None:
    store.add(FeatureSet("s", key="k", time="t", ttl="1h"))
    store.add(FeatureSet("s", key="k", time="t", ttl="1h"))
    with pytest.raises(GraphError, match=r'"s" of version 1 .* differs: ttl was "1h" and is "2h".*version=2'):
        store.add(FeatureSet("s", key="k", time="t", ttl="2h"))
    store.add(FeatureSet("s", key="k", time="t", ttl="2h", version=2))
    assert (store["s"].ttl, store["s@1"].ttl, "s@3" in store, list(store)) == ("2h", "1h", False, ["s"])


def test_history_and_old_versions(plain: FeatureSet) -> None:
    plain.ingest(rows(), id="first")
    plain.ingest(rows(2, n=1), id="second")
    history = plain.history()
    assert history[["version", "id", "rows"]].to_dict("list") == {
        "version": [0, 1], "id": ["id first", "id second"], "rows": [3, 2],
    }  # fmt: skip
    assert history["changes"].tolist()[1].startswith('new column "n"')
    assert (len(plain.frame(version=0)), len(plain.frame(start=f"{DAY}10:01", columns="v"))) == (3, 3)
    with pytest.raises(FeatureError, match="has no version 9; its newest is 1"):
        plain.frame(version=9)


def test_a_key_is_deleted_everywhere(plain: FeatureSet) -> None:
    plain.ingest([{"k": "it's", "t": f"{DAY}10:00", "v": 1.0}, *rows()])
    vector = plain.store.add(FeatureVector("v", ["plain.v"]))
    assert plain.delete("it's") == 1
    assert vector.online([{"k": "it's"}, {"k": "k1"}]) == [{"v": None}, {"v": 1.0}]
    assert plain.delete({"k": "k1"}, before=f"{DAY}10:00") == 0
    assert plain.frame()["k"].tolist() == ["k0", "k1", "k2"]
    assert plain.store.online_version(plain) == plain.offline.version()


def test_compact_and_vacuum_change_no_answer(plain: FeatureSet) -> None:
    for number in range(4):
        plain.ingest(rows(), id=str(number))
    before = plain.frame()
    plain.compact()
    plain.vacuum("1h")
    pd.testing.assert_frame_equal(plain.frame(), before)
    assert plain.ingest(rows(), id="3").skipped


def test_statistics(plain: FeatureSet) -> None:
    plain.ingest([*rows(4, place="PT"), {"k": "x", "t": DAY + "11:00", "v": None, "place": "US"}])
    stats = plain.stats()
    assert stats.loc["v", ["kind", "count", "missing", "min", "max", "mean", "p50"]].tolist() == [
        "float", 4, 1, 0.0, 3.0, 1.5, 1.5,
    ]  # fmt: skip
    assert stats.loc["place", ["distinct", "top", "min"]].tolist() == [2, "PT", "PT"]


def test_what_stands_for_missing_values(plain: FeatureSet) -> None:
    plain.ingest([{"k": "a", "t": f"{DAY}10:00", "v": 1.0, "n": 1}, {"k": "b", "t": f"{DAY}10:00", "v": 4.0, "n": 2}])
    vector = plain.store.add(FeatureVector("v", ["plain.v", "plain.n"]))
    asked, missing = {"k": "z", "time": f"{DAY}11:00"}, {"v": "$max", "n": "$mean"}
    offline, online = vector.offline(asked, missing=missing), vector.online({"k": "z"}, missing=missing)
    assert ({**asked, **online}, online) == (offline, {"v": 4.0, "n": 1.5})
    assert vector.offline(pd.DataFrame([asked]), missing=missing).attrs == {"missing": {"plain": 0}}
    with pytest.raises(FeatureError, match=r"known are \$mean"):
        vector.online({"k": "z"}, missing={"v": "$middle"})


def test_a_store_of_a_newer_format_is_refused(store: FeatureStore) -> None:
    with sqlite3.connect(Path(store.path) / "store.sqlite") as connection:
        connection.execute("UPDATE about SET format = 99")
    connection.close()
    with pytest.raises(FeatureError, match="written in format 99, and this nbgraph reads format 1"):
        FeatureStore(store.path)


def test_a_vector_with_two_features_of_one_name(store: FeatureStore) -> None:
    for name in ("a", "b"):
        store.add(FeatureSet(name, key="k", features=["v"]))
    with pytest.raises(GraphError, match=r'two features "v": of a.v and of b.v.*"b.v as b_v".*prefix'):
        store.add(FeatureVector("v", ["a.v", "b.v"]))
    with pytest.raises(GraphError, match='no set "c"'):
        store.add(FeatureVector("v", ["c.v"]))
    with pytest.raises(GraphError, match='the features of "a": v'):
        store.add(FeatureVector("v", ["a.w"]))


def test_a_vectors_graph_runs_offline_and_online(plain: FeatureSet) -> None:
    plain.ingest(rows())
    graph = Graph("derive")
    graph.to("({**event, 'ratio': event['amount'] / event['v']})", "ratio")
    vector = plain.store.add(FeatureVector("v", ["plain.v"], graph=graph))
    asked = {"k": "k2", "time": f"{DAY}11:00", "amount": 5.0}
    assert vector.offline(asked) == {**asked, "v": 2.0, "ratio": 2.5}
    assert vector.offline(pd.DataFrame([asked]))["ratio"].tolist() == [2.5]
    assert vector.online({"k": "k2", "amount": 5.0}) == {"v": 2.0, "ratio": 2.5}
    assert vector.parity([asked])["equal"].all()


def test_split_and_save(plain: FeatureSet, tmp_path: Path) -> None:
    plain.ingest(rows())
    vector = plain.store.add(FeatureVector("v", ["plain.v"], label="y"))
    asked = pd.DataFrame(
        {"k": ["k0", "k1", "k2"], "time": pd.to_datetime([f"{DAY}11:0{i}" for i in (2, 0, 1)]), "y": 1}
    )
    train, test = vector.split(asked, at=f"{DAY}11:01")
    assert (train["k"].tolist(), test["k"].tolist()) == (["k1"], ["k0", "k2"])
    saved = pq.read_table(vector.save(tmp_path / "set.parquet", asked))
    assert saved["v"].to_pylist() == [0.0, 1.0, 2.0]
    assert json.loads(saved.schema.metadata[b"nbgraph"])["versions"] == {"plain": 0}


def test_a_place_that_can_not_be_written_is_named(store: FeatureStore, plain: FeatureSet) -> None:
    (Path(store.path) / "sets").mkdir()
    (Path(store.path) / "sets" / "plain").write_text("")  # where a folder is to be
    with pytest.raises(FeatureError, match=r'set "plain" can.t be written at .*/sets/plain/1: (.|\n)*It is as it was'):
        plain.ingest(rows())


def test_preview_writes_nothing(store: FeatureStore) -> None:
    inverted = inverting(store)
    assert inverted.preview(rows()[1:], rows=1)["v"].tolist() == [1.0]
    assert inverted.offline.version() is None


def test_a_picture_counts_while_rows_come_in(store: FeatureStore) -> None:
    inverted = inverting(store)
    assert [step.name for step in inverted.way.steps] == ["inverse", "offline", "online"]
    view = inverted.view()
    inverted.ingest(rows()[1:])
    assert inverted.frame()["v"].tolist() == [1.0, 0.5]
    view.close()


def test_lineage(store: FeatureStore, plain: FeatureSet) -> None:
    plain.ingest(rows())
    store.add(FeatureVector("v", ["plain.v"]))
    graph = store.lineage()
    assert [(edge.source, edge.target) for edge in graph.edges] == [("list", "plain"), ("plain", "v")]
