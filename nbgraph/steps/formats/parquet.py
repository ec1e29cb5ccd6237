"""Parquet: the types of columns; the schema of a folder fits all its files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from nbgraph.errors import GraphError
from nbgraph.introspection import shown
from nbgraph.steps.formats.plain import plain_of
from nbgraph.steps.optional import package
from nbgraph.values import is_missing

NOTES = b"nbgraph"  # metadata key of what ParquetTarget adds to the schema, as JSON
EMPTY = "__HIVE_DEFAULT_PARTITION__"
KINDS = frozenset({int, float, bool, str, bytes, datetime, date, time, timedelta, Decimal, UUID, list, dict})
NAMED = {
    "int": "int64",
    "long": "int64",
    "float": "double",
    "double": "double",
    "str": "string",
    "string": "string",
    "bool": "bool",
    "bytes": "binary",
    "date": "date32",
}


def arrow_for(step: str) -> Any:
    return package("pyarrow", step)


# --- values to columns ---


def column_of(name: str, values: Sequence[Any], known: Any = None) -> Any:
    """The values as an Arrow column of the known type, else of the type of the values; None if all are missing.

    >>> column_of("v", [1, None, 2.5]).to_pylist(), column_of("v", [None])
    ([1.0, None, 2.5], None)
    >>> column_of("v", [1, "a"])
    Traceback (most recent call last):
    nbgraph.errors.GraphError: ParquetTarget, column "v": it has values of several kinds, int and str; ...
    """
    arrow = arrow_for("ParquetTarget")
    values, kinds = _plain(name, values)
    if not kinds:
        return arrow.nulls(len(values), known) if known is not None else None
    try:
        column = arrow.array(values, _type_of(arrow, name, values, kinds))
        if known is not None and column.type != known:
            column = _cast(arrow, column, known)
    except (arrow.ArrowException, AttributeError, OverflowError, TypeError, ValueError) as error:
        since = f"it is {known}, and " if known is not None else ""
        raise _refusal(name, f"{since}{_first_line(error)}") from error
    if any(arrow.types.is_struct(part) and not part.num_fields for part in parts_of(column.type)):
        raise _refusal(name, f"a dict without fields has no form in Parquet: {shown(values)}")
    if kinds & {list, dict} and not _same(column.to_pylist(), values):
        raise _refusal(name, f"its lists or dicts have parts of several kinds, or other fields each: {shown(values)}")
    return column


def _plain(name: str, values: Sequence[Any]) -> tuple[Sequence[Any], set[type]]:
    """The values as Python's own, and their kinds."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds <= KINDS:
        values = [value if type(value) is float else plain_of(value) for value in values]
        kinds = set(map(type, values)) - {type(None)}
    if strange := kinds - KINDS:
        raise _refusal(name, f"a {strange.pop().__name__} has no form in Parquet")
    if len(kinds) > 1 and not kinds <= {int, float}:
        raise _refusal(name, f"it has values of several kinds, {' and '.join(sorted(kind.__name__ for kind in kinds))}")
    return values, kinds


def _type_of(arrow: Any, name: str, values: Sequence[Any], kinds: set[type]) -> Any:
    """The type, where Arrow would choose by the first or the widest value."""
    if kinds == {datetime}:
        zoned = {value.tzinfo is not None for value in values if value is not None}
        if len(zoned) > 1:
            raise _refusal(name, "it has times with a zone and times without")
        return arrow.timestamp("us", "UTC" if zoned.pop() else None)
    return arrow.decimal128(38, 18) if kinds == {Decimal} else arrow.uuid() if kinds == {UUID} else None


def _cast(arrow: Any, column: Any, known: Any) -> Any:
    """The column cast to another type without loss."""
    types = arrow.types
    kinds = (_is_number, types.is_timestamp, types.is_nested)
    if not any(is_kind(column.type) and is_kind(known) for is_kind in kinds):
        raise TypeError(f"got {column.type}")
    if types.is_timestamp(known) and (known.tz is None) != (column.type.tz is None):
        raise TypeError("got a time with a zone" if known.tz is None else "got a time without a zone")
    return column.cast(known)


def parts_of(kind: Any) -> Iterator[Any]:
    """A type, and the types it is composed of."""
    yield kind
    for number in range(kind.num_fields):
        yield from parts_of(kind.field(number).type)


def is_open(kind: Any) -> bool:
    """Whether no value has determined the whole type yet: an empty list has no item type."""
    return any(arrow_for("ParquetTarget").types.is_null(part) for part in parts_of(kind))


def _is_number(kind: Any) -> bool:
    types = arrow_for("ParquetTarget").types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _same(one: Any, other: Any) -> bool:
    if isinstance(other, list | tuple):
        return isinstance(one, list) and len(one) == len(other) and all(map(_same, one, other))
    if isinstance(other, dict):
        return (
            isinstance(one, dict) and one.keys() == other.keys() and all(_same(one[key], other[key]) for key in other)
        )
    return (is_missing(one) and is_missing(other)) or (type(one) is type(other) and one == other)


def _refusal(name: str, why: str) -> GraphError:
    return GraphError(
        f'ParquetTarget, column "{name}": {why}; a column has one type, that of its first values. Change them before '
        "this step, or give the type: columns=[(name, type)]."
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def type_named(column: str, kind: Any) -> Any:
    """The Arrow type of a name, a Python type, or itself; None for times, whose zone comes from the first value.

    >>> str(type_named("a", "int")), str(type_named("a", float)), type_named("a", "datetime")
    ('int64', 'double', None)
    """
    arrow = arrow_for("ParquetTarget")
    if isinstance(kind, arrow.DataType):
        return kind
    name = kind.__name__ if isinstance(kind, type) else kind
    if name == "datetime":
        return None
    try:
        return arrow.type_for_alias(NAMED.get(name, name))
    except (ValueError, TypeError):
        raise GraphError(
            f'ParquetTarget, column "{column}": {name!r} is no type; known: {", ".join(NAMED)}, datetime, and those '
            "of Arrow."
        ) from None


# --- files to one schema ---


def notes_of(schema: Any) -> dict[str, Any]:
    """The notes of a file on columns that it does not hold: `partitions` with their types, and all-`missing` ones."""
    notes: dict[str, Any] = json.loads((schema.metadata or {}).get(NOTES, b"{}"))
    return notes


def held(schema: Any) -> Any:
    """The schema without the placeholder column of a file that would have no column."""
    missing = notes_of(schema).get("missing", ())
    return arrow_for("ParquetTarget").schema([field for field in schema if field.name not in missing], schema.metadata)


def noted(partitions: Mapping[str, str], missing: Iterable[str]) -> dict[bytes, bytes]:
    """The metadata of a schema with these notes."""
    return {NOTES: json.dumps({"partitions": dict(partitions), "missing": list(missing)}).encode()}


def dataset_of(path: Path, step: str) -> Any:
    """The files at a path as one dataset; of partitions only the names and texts are known."""
    dataset = package("pyarrow.dataset", step, "pyarrow")
    return dataset.dataset(path, format="parquet", partitioning=None, exclude_invalid_files=False)


def schema_of(paths: Sequence[Path], step: str) -> tuple[Any, Any]:
    """The schema of all files, with the types that hold the values of each, and that of their partitions.

    A partition has the type it was written with; without notes, whole numbers without leading zeros are numbers,
    and all else is text.
    """
    arrow = arrow_for(step)
    schemas, notes = [], []
    texts: dict[str, set[str]] = {}
    for path in paths:
        for fragment in dataset_of(path, step).get_fragments():
            schema = fragment.physical_schema
            notes.append(notes_of(schema))
            schemas.append(held(schema))
            for name, text in _partitions(path, Path(fragment.path)):
                texts.setdefault(name, set()).add(text)
    if not schemas:
        raise GraphError(f"{step} finds no Parquet file in {', '.join(map(str, paths))}.")
    types = {name: kind for note in notes for name, kind in note.get("partitions", {}).items()}
    partitions = arrow.schema(
        [(name, arrow.type_for_alias(types.get(name) or _kind_of_texts(found))) for name, found in texts.items()]
    )
    whole = _unified(arrow, [*schemas, partitions], step)
    absent = [name for note in notes for name in note.get("missing", ()) if name not in whole.names]
    return arrow.schema([*whole, *((name, arrow.null()) for name in dict.fromkeys(absent))]), partitions


def _unified(arrow: Any, schemas: list[Any], step: str) -> Any:
    try:
        return arrow.unify_schemas(schemas, promote_options="permissive")
    except (arrow.ArrowInvalid, arrow.ArrowTypeError) as error:
        raise GraphError(f"{step}: the files have no types in common: {error}; read them one by one.") from error


def _partitions(root: Path, file: Path) -> list[tuple[str, str]]:
    """The partitions that the folders between root and file are named after."""
    folders = file.relative_to(root).parts[:-1] if root.is_dir() else ()
    pairs = [folder.partition("=") for folder in folders if "=" in folder]
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _kind_of_texts(texts: set[str]) -> str:
    numbers = texts - {EMPTY}
    return "int64" if numbers and all(_is_whole(text) for text in numbers) else "string"


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdecimal() and len(text) < 19 and str(int(text)) == text
