"""Values: one reading of numbers, missing values, times and keys, whatever library they come from."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbgraph.values import counted, is_missing, moment_of, normal_key, number_of, same_for_equal, seconds_of

MISSING = [
    None, math.nan, np.float16("nan"), np.float32("nan"), np.float64("nan"), np.longdouble("nan"), Decimal("NaN"),
    Decimal("sNaN"), pd.NaT, pd.NA, np.datetime64("NaT"), np.timedelta64("NaT"), np.array(math.nan),
]  # fmt: skip
PRESENT = [
    0, "", False, [], {}, b"", Decimal(0), np.int8(0), np.array([math.nan]), pd.Series([math.nan]),
    pd.DataFrame({"a": [math.nan]}), math.inf, pd.Timestamp(0), object(), np.str_("nan"),
]  # fmt: skip


class Size(IntEnum):
    BIG = 7


class Side(StrEnum):
    LEFT = "left"


def test_what_is_missing() -> None:
    assert [is_missing(value) for value in MISSING] == [True] * len(MISSING)
    assert [is_missing(value) for value in PRESENT] == [False] * len(PRESENT)


@pytest.mark.parametrize(
    "kind",
    [
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        "float16",
        "float32",
        "float64",
        "longdouble",
    ],
)
def test_a_number_is_pythons_whatever_its_width(kind: str) -> None:
    given = np.dtype(kind).type(100)
    found = [number_of(given), number_of(np.array(given))]
    assert [(type(each), each) for each in found] == [(float if np.dtype(kind).kind == "f" else int, 100)] * 2


@pytest.mark.parametrize(
    "value", [True, 3, 0.5, Decimal("1.10"), Fraction(1, 3), "a", None, [1], pd.Timestamp(0), Size.BIG]
)
def test_what_is_no_number_of_numpy_stays(value: Any) -> None:
    assert number_of(value) is value


def test_what_is_counted() -> None:
    given = [np.bool_(True), np.int8(3), pd.NA, math.nan, Decimal(2), np.datetime64("2026-01-01")]
    assert [counted(value) for value in given] == [True, 3, None, None, Decimal(2), np.datetime64("2026-01-01")]


TWO = 1_767_232_800  # 2026-01-01T02:00 in UTC
TIMES: list[Any] = [
    "2026-01-01T02:00", "2026-01-01T02:00:00Z", "2026-01-01T03:00+01:00", datetime(2026, 1, 1, 2),
    datetime(2026, 1, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, 4, tzinfo=timezone(timedelta(hours=2))),
    pd.Timestamp("2026-01-01T02:00"), pd.Timestamp("2026-01-01T03:00", tz="Europe/Berlin"), TWO, float(TWO),
    Decimal(TWO), Fraction(TWO), np.int64(TWO), np.uint32(TWO), np.float64(TWO),
    *(np.datetime64("2026-01-01T02", unit) for unit in ("h", "m", "s", "ms", "us", "ns")),
]  # fmt: skip


@pytest.mark.parametrize("time", TIMES, ids=lambda time: f"{type(time).__name__} {time}")
def test_a_time_in_any_form_is_that_time(time: Any) -> None:
    assert (seconds_of(time), moment_of(time)) == (TWO, datetime(2026, 1, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    "day", ["2026-01-01", date(2026, 1, 1), *map(np.datetime64, ("2026-01-01", "2026-01", "2026"))]
)
def test_a_day_is_its_midnight_in_utc(day: Any) -> None:
    assert (seconds_of(day), moment_of(day)) == (TWO - 7200, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("missing", [value for value in MISSING if not isinstance(value, np.ndarray)])
def test_a_missing_time_is_named(missing: Any) -> None:
    for read in (seconds_of, moment_of):
        with pytest.raises(ValueError, match='The time "paid_at" is missing: got'):
            read(missing, "paid_at")


@pytest.mark.parametrize(
    "wrong", ["", "soon", True, np.bool_(True), [1], {}, object(), 1j, math.inf, timedelta(1), pd.Timedelta(1), b"2026"]
)
def test_what_is_no_time_is_named(wrong: Any) -> None:
    for read in (seconds_of, moment_of):
        with pytest.raises(ValueError, match=r'The time "paid_at" is .*expected a datetime, a date, ISO 8601 text'):
            read(wrong, "paid_at")


def test_a_form_of_text() -> None:
    assert moment_of("1/2/13", form="%d/%m/%y") == datetime(2013, 2, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match='The time "at" is \'2013\'; expected text of the form "%d/%m/%y"'):
        moment_of("2013", "at", "%d/%m/%y")


SAME_KEYS: list[list[Any]] = [
    MISSING[:-1],
    [7, 7.0, np.int64(7), np.int8(7), np.float16(7), Decimal(7), Decimal("7.0"), Fraction(7), Size.BIG],
    [7.5, np.float32(7.5), Decimal("7.50"), Fraction(15, 2)],
    [0, -0.0, 0.0, False, np.bool_(False)],
    [1, True, np.bool_(True), 1.0],
    ["left", Side.LEFT, np.str_("left")],
    [b"x", np.bytes_(b"x")],
    [("a", 7), ["a", np.int16(7)], (np.str_("a"), 7.0)],
    [("a", None), ("a", math.nan), ["a", pd.NA], ("a", np.float32("nan"))],
    [datetime(2026, 1, 1), pd.Timestamp("2026-01-01"), np.datetime64("2026-01-01T00:00", "ns")],
    [date(2026, 1, 1), np.datetime64("2026-01-01")],
    [
        datetime(2026, 1, 1, tzinfo=UTC), pd.Timestamp("2026-01-01", tz="UTC"),
        datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), pd.Timestamp("2026-01-01T01", tz="Europe/Berlin"),
    ],
    [math.inf, np.float32("inf")],
    [Decimal("0.1"), Decimal("0.10")],
    [0.1, np.float64(0.1)],
    ["7"], [b"7"], ["None"], [""], [10**400], [1e300, int(1e300)], [Decimal("1E+999999")],
]  # fmt: skip


def test_keys_that_mean_the_same_are_one_key_and_others_are_not() -> None:
    forms = [{normal_key(key) for key in keys} for keys in SAME_KEYS]
    texts = [{repr(same_for_equal(key)) for key in keys} for keys in SAME_KEYS]
    assert [(len(form), len(text)) for form, text in zip(forms, texts, strict=True)] == [(1, 1)] * len(SAME_KEYS)
    assert len(set().union(*forms)) == len(set().union(*texts)) == len(SAME_KEYS)


def test_the_normal_form_is_pythons_and_stays_as_it_is() -> None:
    normal = [normal_key(key) for keys in SAME_KEYS for key in keys]
    assert {type(key).__module__ for key in normal} <= {"builtins", "datetime", "decimal"}
    assert [(type(normal_key(key)), normal_key(key)) for key in normal] == [(type(key), key) for key in normal]
