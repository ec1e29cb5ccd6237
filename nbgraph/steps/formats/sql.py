"""SQL: the types of columns, and the conversion of values to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, partial
from typing import Any, NamedTuple
from uuid import UUID

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.introspection import shown
from nbgraph.steps.optional import package
from nbgraph.streams.codec.wire import encode

NUMBERS = (int, float, Decimal)
LARGEST = 1 << 63  # the whole numbers of databases are below it
Fit = Callable[[Any], Any]
Refuse = Callable[[Any, str], GraphError]


class ColumnForm(NamedTuple):
    """How SQLite, which has only texts, numbers and bytes, stores another kind of value."""

    kind: Any  # Python's class; None where any value goes through
    write: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] | None = None


def _in_utc(value: datetime) -> str:
    return str(value.replace(tzinfo=None))


FORMS = {  # by the type that a column is declared to have
    "DATETIME": ColumnForm(datetime, str, datetime.fromisoformat),
    "DATETIME_UTC": ColumnForm(datetime, _in_utc, lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC)),
    "TIMESTAMP": ColumnForm(datetime, str, datetime.fromisoformat),
    "DATE": ColumnForm(date, str, date.fromisoformat),
    "TIME": ColumnForm(time, str, time.fromisoformat),
    "BOOLEAN": ColumnForm(bool, int, lambda number: {0: False, 1: True}.get(number, number)),
    "DECIMAL_TEXT": ColumnForm(Decimal, str, Decimal),
    "UUID_TEXT": ColumnForm(UUID, str, UUID),
    "INTERVAL_MICROSECONDS": ColumnForm(
        timedelta, lambda span: span // timedelta(microseconds=1), lambda number: timedelta(microseconds=number)
    ),
    # SQLite stores numbers unchanged in it, but SQLAlchemy would make a Decimal of each
    "NUMERIC": ColumnForm(None),
    "DECIMAL": ColumnForm(None),
}


def engine_of(url: str, step: str) -> Any:
    """SQLAlchemy's engine for a database; with SQLite, values come back as nbgraph stored them."""
    sql = package("sqlalchemy", step)
    engine = sql.create_engine(url, json_serializer=lambda value: encode(value).decode())
    if engine.dialect.name == "sqlite":
        known = engine.dialect.ischema_names
        engine.dialect.ischema_names = {**known, **{name: partial(_in_sqlite(), name) for name in FORMS}}
    return engine


@cache
def _in_sqlite() -> Any:
    """The class of SQLite's columns of another form; SQLAlchemy is imported when it is first needed."""
    from sqlalchemy.types import UserDefinedType

    class InSqlite(UserDefinedType[Any]):
        cache_ok = True

        def __init__(self, declared: str, *_: int) -> None:
            self.declared = declared

        @property
        def python_type(self) -> Any:
            return FORMS[self.declared].kind

        def get_col_spec(self, **_: Any) -> str:
            return self.declared

        def bind_processor(self, dialect: Any) -> Any:
            write = FORMS[self.declared].write
            return write and (lambda value: None if value is None else write(value))

        def result_processor(self, dialect: Any, kind: Any) -> Any:
            read = FORMS[self.declared].read
            return read and partial(_read_or_leave, read)

    return InSqlite


def _read_or_leave(read: Callable[[Any], Any], value: Any) -> Any:
    """Values that another program stored may have any form."""
    try:
        return None if value is None else read(value)
    except (ValueError, TypeError, ArithmeticError):
        return value


def type_for(values: Iterable[Any], dialect: str, step: str, column: str) -> Any:
    """The type of a new column that has these values, Python's own; None where all are missing."""
    kinds = {_kind_of(value) for value in values if value is not None}
    kind = float if kinds == {int, float} else Decimal if kinds == {int, Decimal} else next(iter(kinds), None)
    if kind is None:
        return None
    if dialect == "sqlite" and kind in SQLITE_NAMES:
        return _in_sqlite()(SQLITE_NAMES[kind])
    types = _types(package("sqlalchemy", step))
    if kind not in types:
        raise GraphError(
            f'{step}, column "{column}": a {kind.__name__} has no form in a database. Make a text or a dict of it '
            "before this step."
        )
    return types[kind]


def _types(sql: Any) -> dict[Any, Any]:
    """SQLAlchemy's types by the kinds of values."""
    return {
        bool: sql.Boolean(),
        int: sql.BigInteger(),
        float: sql.Double(),
        str: sql.Text(),
        bytes: sql.LargeBinary(),
        datetime: sql.DateTime(),
        _Zoned: sql.DateTime(timezone=True),
        date: sql.Date(),
        time: sql.Time(),
        timedelta: sql.Interval(),
        Decimal: sql.Numeric(),
        UUID: sql.Uuid(),
        dict: sql.JSON(none_as_null=True),
    }


class _Zoned:
    """Stands for a datetime with a time zone."""


SQLITE_NAMES: dict[Any, str] = {  # of columns whose values SQLite has no type for
    datetime: "DATETIME",
    _Zoned: "DATETIME_UTC",
    date: "DATE",
    time: "TIME",
    bool: "BOOLEAN",
    Decimal: "DECIMAL_TEXT",
    UUID: "UUID_TEXT",
    timedelta: "INTERVAL_MICROSECONDS",
}


def _kind_of(value: Any) -> Any:
    kind = type(value)
    if kind is datetime:
        return _Zoned if value.tzinfo is not None else datetime
    return dict if kind is list else kind


def fit_for(column: Any, dialect: str, refuse: Refuse) -> Fit:
    """The function that converts a plain value to one that the column stores without loss."""
    try:
        kind = column.type.python_type
    except NotImplementedError:  # a type that only the database knows
        kind = None
    if kind is None:
        return lambda value: value
    if kind is datetime:
        return partial(_fit_time, _has_zone(column.type), refuse)
    if kind is dict or type(column.type).__name__ in ("JSON", "JSONB"):
        return partial(_fit_json, refuse)
    if kind is int:
        return partial(_fit_whole, refuse)
    if kind is str and dialect == "postgresql":
        return partial(_fit_text, refuse)
    return lambda value: value if type(value) is kind else _fit(kind, refuse, value)


def _fit(kind: Any, refuse: Refuse, value: Any) -> Any:
    """The same number of another kind; all else is refused."""
    own = type(value)
    if own is kind:
        return value
    found = _as_number(kind, value) if kind in NUMBERS and own in (*NUMBERS, bool) else None
    if found is None:
        raise refuse(value, own.__name__)
    return found


def _fit_whole(refuse: Refuse, value: Any) -> Any:
    found = value if type(value) is int else _fit(int, refuse, value)
    if not -LARGEST <= found < LARGEST:
        raise refuse(value, "whole number of more than 64 bits")
    return found


def _fit_text(refuse: Refuse, value: Any) -> Any:
    found = _fit(str, refuse, value)
    if "\0" in found:
        raise refuse(value, "text with a NUL character")
    return found


def _as_number(kind: Any, value: Any) -> Any:
    """The same number of another kind; None where that has no such number."""
    try:
        found = kind(value)
    except (OverflowError, ValueError):  # an infinity
        return None
    return found if found == value else None


def _fit_time(has_zone: bool, refuse: Refuse, value: Any) -> datetime:
    """In UTC: a column without zones would lose the zone."""
    if not isinstance(value, datetime):
        raise refuse(value, type(value).__name__)
    found = value if value.tzinfo is None else value.astimezone(UTC)
    return found.replace(tzinfo=UTC if has_zone else None)


def _has_zone(kind: Any) -> bool:
    return bool(getattr(kind, "timezone", False)) or getattr(kind, "declared", "") == "DATETIME_UTC"


def _fit_json(refuse: Refuse, value: Any) -> Any:
    try:
        decoded = json.loads(encode(value))
    except (NbgraphError, TypeError, ValueError, RecursionError):
        raise refuse(value, f"{type(value).__name__} that JSON can't hold") from None
    if decoded != _listed(value):
        raise refuse(value, f"{type(value).__name__} that JSON would change")
    return value


def _listed(value: Any) -> Any:
    """The value with lists in the place of tuples, as JSON has it."""
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    return {key: _listed(item) for key, item in value.items()} if isinstance(value, dict) else value


def refusal(step: str, table: str, column: Any, value: Any, what: str) -> GraphError:
    return GraphError(
        f'{step}, column "{column.name}" of {table}: it is {column.type}, and got a {what}: {shown(value)}. Change '
        "the value before this step, or the column."
    )


def place_of(engine: Any, name: str, step: str) -> tuple[str | None, str]:
    """The schema and the name of a table: `"schema.name"`, unless that is the whole name of a table."""
    inspector = package("sqlalchemy", step).inspect(engine)
    schema, dot, own = name.rpartition(".")
    if not dot or inspector.has_table(name):
        return None, name
    if schema not in (there := inspector.get_schema_names()):
        raise GraphError(f'{step}: the database has no schema "{schema}" for "{name}"; it has: {", ".join(there)}.')
    return schema, own
