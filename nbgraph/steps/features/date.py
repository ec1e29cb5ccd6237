"""DateExtractor: hours, weekdays, quarters of a time, as fields."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.handler import Counterpart
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.features.fields import Each, FieldsStep, Function, refuse_met
from nbgraph.values import is_missing, moment_of

__all__ = ["DateExtractor"]


def _is_last(time: datetime) -> bool:
    return time.day == calendar.monthrange(time.year, time.month)[1]


PARTS: dict[str, Callable[[datetime], Any]] = {
    "year": lambda time: time.year,
    "month": lambda time: time.month,
    "day": lambda time: time.day,
    "hour": lambda time: time.hour,
    "minute": lambda time: time.minute,
    "second": lambda time: time.second,
    "microsecond": lambda time: time.microsecond,
    "quarter": lambda time: (time.month + 2) // 3,
    "week": lambda time: time.isocalendar().week,
    "day_of_week": datetime.weekday,
    "day_of_year": lambda time: time.timetuple().tm_yday,
    "days_in_month": lambda time: calendar.monthrange(time.year, time.month)[1],
    "is_leap_year": lambda time: calendar.isleap(time.year),
    "is_month_start": lambda time: time.day == 1,
    "is_month_end": _is_last,
    "is_quarter_start": lambda time: time.day == 1 and time.month % 3 == 1,
    "is_quarter_end": lambda time: time.month % 3 == 0 and _is_last(time),
    "is_year_start": lambda time: time.day == 1 and time.month == 1,
    "is_year_end": lambda time: time.month == 12 and _is_last(time),
}
OTHER_NAMES = {
    "dayofweek": "day_of_week",
    "dayofyear": "day_of_year",
    "weekofyear": "week",
    "daysinmonth": "days_in_month",
}
PARTS |= {other: PARTS[name] for other, name in OTHER_NAMES.items()}


class DateExtractor(FieldsStep):
    """Parts of a time become fields `<timestamp_col>_<part>`, by the names that pandas has for them.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import DateExtractor
    >>> graph = Graph("g")
    >>> _ = graph.to(DateExtractor(["hour", "day_of_week"], "at"))
    >>> graph.run({"at": "2026-11-23T09:30"})
    {'at': '2026-11-23T09:30', 'at_hour': 9, 'at_day_of_week': 0}

    A time is a datetime, a date, an ISO 8601 text, or a number of seconds since 1970 (UTC); of one with a time zone the
    parts are those of that zone. A missing time has missing parts. Without `timestamp_col` the field is "timestamp".

    Parameters
    ----------
    parts
        Parts by pandas' names: `"hour"`, `"day_of_week"`, `"quarter"`.
    timestamp_col
        Field of the time; None: `"timestamp"`.
    """

    counterpart = Counterpart("DateExtractor")

    def __init__(self, parts: Names, timestamp_col: str | None = None) -> None:
        self._parts = names_of(parts, "DateExtractor", "parts")
        self._field = timestamp_col or "timestamp"
        for part in self._parts:
            if part not in PARTS:
                raise GraphError(f'DateExtractor got the part "{part}"; known: {", ".join(PARTS)}.')

    def change(self, fields: Mapping[str, Any], each: Each) -> dict[str, Any]:
        if self._field not in fields:
            raise KeyError(
                f'DateExtractor takes "{self._field}" from the body, which has '
                f"{', '.join(map(str, fields)) or 'nothing'}; correct timestamp_col, or add the field in a step before."
            )
        field = self._field
        parts = {f"{field}_{part}": each(_of(PARTS[part], field), fields[field]) for part in self._parts}
        refuse_met(self, parts, fields)
        return {**fields, **parts}


def _of(part: Function, field: str) -> Function:
    return lambda value: None if is_missing(value) else part(moment_of(value, field))
