"""What travels between functions, and what steps remember, as bytes: the very same values come back."""

import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

from nbgraph.streams.codec.values import UnfitError
from nbgraph.streams.codec.wire import pack, pack_answer, unpack

PLAIN = [
    None, True, -0.0, [1, (2, {3})], frozenset({4}), {"a": b"\x00", 1: {(1, 2): None}}, deque([1], 3), bytearray(b"x"),
    2**64, -(2**63) - 1, int("9" * 4000), {2**80: 1}, "a\0b", "half \ud800", {"\udfff": 1}, "עברית 😀",
    datetime(2024, 1, 2, 3, 4, 5, 6), datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 7, 2, tzinfo=ZoneInfo("Japan")),
    date(2024, 1, 2), time(1, 2), timedelta(1, 2, 3), Decimal("1.10"), UUID(int=5), 1 + 2j, range(3), Path("a/b"),
    Counter("aab"), OrderedDict(b=1, a=2), defaultdict(int, a=1), {"deep": [{"rows": [(1, 2.5)] * 3}]},
]  # fmt: skip

ARRAYS = [
    np.arange(6, dtype="float32").reshape(2, 3), np.arange(10)[::2], np.array(5), np.zeros((0, 3)), np.array(["a"]),
    np.array(["2024-01-01", "NaT"], "datetime64[ns]"), np.array([[1, "a"], [None, (2,)]], dtype=object),
    np.array([(1, 2.5)], dtype=[("x", "i4"), ("y", "f8")]), np.float32(0.1), np.int64(7), np.bool_(True), np.str_("x"),
]  # fmt: skip

TABLE = pd.DataFrame(
    {
        "number": [1, 2], "text": ["x", None], "at": pd.date_range("2024-01-01", periods=2, tz="Europe/Berlin"),
        "maybe": pd.array([1, None], dtype="Int64"), "kind": pd.Categorical(["b", None], categories=["b", "a"]),
        "any": [(1,), {"a": 2}], "span": pd.to_timedelta([1, 2], unit="s"),
    },
    index=pd.MultiIndex.from_tuples([("p", 1), ("q", 2)], names=["letter", None]),
)  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_a_value_comes_back_as_it_was(value):
    found = unpack(pack(value))
    assert (type(found), repr(found)) == (type(value), repr(value))


@pytest.mark.parametrize("value", ARRAYS, ids=repr)
def test_an_array_or_a_number_of_numpy_comes_back_as_it_was(value):
    found = unpack(pack({"x": value}))["x"]
    assert (type(found), found.dtype, found.tolist()) == (type(value), value.dtype, value.tolist())


def test_tables_and_moments_come_back_as_they_were():
    moments = (
        pd.Timestamp("2024-01-01", tz="Asia/Tokyo"),
        pd.Timestamp(5, unit="s"),
        pd.Timedelta("3h"),
        pd.NaT,
        pd.NA,
    )
    polars = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    table, column, found, other = unpack(pack((TABLE, TABLE["at"], moments, polars)))
    pd.testing.assert_frame_equal(table, TABLE)
    pd.testing.assert_series_equal(column, TABLE["at"])
    assert (repr(found), other.equals(polars)) == (repr(moments), True)


def test_a_number_of_numpy_is_pythons_own_where_there_is_none_and_a_table_says_what_is_missing(monkeypatch):
    packed, table = pack(np.float64(0.5)), pack(TABLE)
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UnfitError, match='"pandas", and that is not among the packages of this function'):
        unpack(table)
    assert unpack(packed) == 0.5


class Colour(Enum):
    RED = 1


HOLDING_ITSELF: list[object] = []
HOLDING_ITSELF += [HOLDING_ITSELF, HOLDING_ITSELF]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Colour.RED, "Colour in it"),
        (namedtuple("Pair", "a b")(1, 2), "Pair in it"),
        ({"f": open}, "builtin_function_or_method in it"),
        (np.array([object()]), "builtins.object in it"),
        (defaultdict(lambda: 1), "a defaultdict of"),
        (HOLDING_ITSELF, "nested too deeply, or holds itself"),
    ],
)
def test_what_would_be_something_else_on_the_other_side_is_refused(value, told):
    with pytest.raises(UnfitError, match=told):
        pack(value)


def test_answers_keep_what_is_pythons_own_and_need_no_library_to_be_read():
    answer = {"at": date(2024, 1, 1), "rows": TABLE[["number"]], "many": 2**70, "t": (1,)}
    assert unpack(pack_answer(answer)) == {
        "at": date(2024, 1, 1), "rows": [{"number": 1}, {"number": 2}], "many": 2**70, "t": (1,),
    }  # fmt: skip


def test_what_comes_from_outside_chooses_no_module_and_ends_no_stack():
    import msgspec

    def marked(code, content):
        return msgspec.msgpack.encode(msgspec.msgpack.Ext(code, content))

    deep = marked(3, msgspec.msgpack.encode([]))
    for _ in range(3000):
        deep = marked(3, deep)
    sent = [marked(15, msgspec.msgpack.encode(["this.Zen", b""])), deep, marked(99, b""), marked(1, b"")]
    for data in sent:
        with pytest.raises((UnfitError, ValueError, LookupError, RecursionError)):
            unpack(data)
    assert "this" not in sys.modules
