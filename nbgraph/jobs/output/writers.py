"""Output: the answers of a part as a file, written aside, synced, and renamed when it is whole."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from nbgraph.errors import GraphError, JobError
from nbgraph.jobs.output.form import Form
from nbgraph.jobs.sources import spill
from nbgraph.steps.formats.csv import cell_of
from nbgraph.steps.formats.parquet import column_of, is_open, noted
from nbgraph.steps.formats.plain import plain_of
from nbgraph.steps.optional import package
from nbgraph.steps.targets.base import union_of

BATCH = 50_000  # answers that are written together
CHUNK = 1 << 20
ROWS, VALUES, LISTS = "rows", "values", "lists"  # what the answers of a part are: dicts, single values, lists


class PartWriter(Protocol):
    """Writes batches of answers into a file that nobody else looks at."""

    def add(self, rows: list[Any]) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class Written(msgspec.Struct):
    file: str
    size: int
    sha256: str


# --- rows of answers ---


class Rows:
    """Makes rows of answers, as a DataFrame of them would; all answers of a job are of one kind.

    >>> rows = Rows()
    >>> rows.of([3, "a"]), rows.kind
    ([{'0': 3}, {'0': 'a'}], 'values')
    """

    def __init__(self) -> None:
        self.kind = ""

    def of(self, answers: list[Any]) -> list[dict[str, Any]]:
        kinds = {_kind(kind) for kind in set(map(type, answers))}
        if self.kind:
            kinds.add(self.kind)
        if len(kinds) > 1:
            raise JobError(
                f"Answers are of several kinds, {' and '.join(sorted(kinds))}; a table has one. Let the last step make "
                'dicts of all, or write "x.jsonl".'
            )
        self.kind = kinds.pop()
        if self.kind == ROWS:
            return answers if set(map(type, answers)) == {dict} else [dict(answer) for answer in answers]
        if self.kind == LISTS:
            return [{str(at): value for at, value in enumerate(answer)} for answer in answers]
        return [{"0": answer} for answer in answers]


def _kind(kind: type) -> str:
    if issubclass(kind, Mapping):
        return ROWS
    return LISTS if issubclass(kind, list | tuple) else VALUES


# --- the forms ---


class ParquetWriter:
    """Batches as row groups; where a later one has other columns, the file is written anew with all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tables: list[Any] = []
        self._types: dict[str, Any] = {}
        self._names: dict[str, None] = {}

    def add(self, rows: list[dict[str, Any]]) -> None:
        values = _columns(rows)
        if not all(isinstance(name, str) for name in values):
            raise JobError(f"Columns of Parquet have texts for names, and an answer has: {list(values)!r:.100}.")
        try:
            columns = {name: column_of(name, column) for name, column in values.items()}
        except GraphError as error:
            raise JobError(f'{_told(error)} Change it in the last step, or write "x.jsonl".') from error
        self._names |= dict.fromkeys(values)
        self._tables.append((columns, len(rows)))

    def close(self) -> None:
        arrow = package("pyarrow", "A job that writes Parquet")
        parquet = package("pyarrow.parquet", "A job that writes Parquet", "pyarrow")
        types = self._unified(arrow)
        missing = [name for name in self._names if name not in types]
        if not types and missing:  # a file of no column would have no rows either
            types[missing[0]] = arrow.string()
        schema = arrow.schema(list(types.items()), metadata=noted({}, missing))
        with parquet.ParquetWriter(self._path, schema) as writer:
            for columns, length in self._tables:
                cast = [_cast(arrow, columns.get(name), kind, length) for name, kind in types.items()]
                writer.write_table(arrow.table(cast, schema=schema))

    def abandon(self) -> None:
        self._tables.clear()

    def _unified(self, arrow: Any) -> dict[str, Any]:
        """The types of the columns, over all batches."""
        types: dict[str, Any] = {}
        for name in self._names:
            found = [table[name].type for table, _ in self._tables if table.get(name) is not None]
            known = [kind for kind in found if not is_open(kind)] or found
            if known:
                types[name] = unified(arrow, name, known)
        return types


def unified(arrow: Any, name: str, kinds: list[Any]) -> Any:
    """The one type that holds the values of all these."""
    try:
        fields = [arrow.schema([(name, kind)]) for kind in dict.fromkeys(kinds)]
        return arrow.unify_schemas(fields, promote_options="permissive").field(0).type
    except (arrow.ArrowInvalid, arrow.ArrowTypeError):
        listed = ", ".join(sorted({str(kind) for kind in kinds}))
        raise JobError(
            f'The column "{name}" has values of several types: {listed}; a column of Parquet has one. Change them in '
            'the last step, or write "x.jsonl".'
        ) from None


def _cast(arrow: Any, column: Any, kind: Any, length: int) -> Any:
    if column is None:
        return arrow.nulls(length, kind)
    return column if column.type == kind else column.cast(kind, safe=False)


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The values by their names; most often all rows have the same, which costs little to see."""
    names = list(rows[0])
    if sum(map(len, rows)) == len(names) * len(rows):
        with suppress(KeyError):
            return {name: [row[name] for row in rows] for name in names}
    return {name: [row.get(name) for row in rows] for name in union_of(rows)}


def _told(error: GraphError) -> str:
    return str(error).removeprefix("ParquetTarget, ").partition("; a column has one type")[0].capitalize() + "."


class CSVWriter:
    """Rows as lines; the columns are the fields of the first batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("x", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._names: list[str] | None = None

    def add(self, rows: list[dict[str, Any]]) -> None:
        there = union_of(rows)
        if self._names is None:
            self._names = there
            self._writer.writerow(there)
        extra = next((name for name in there if name not in self._names), None)
        if extra is not None:
            raise JobError(
                f'An answer has the field "{extra}", and the columns are those of the first {BATCH:,}: '
                f'{", ".join(self._names)}. Give every answer the field, or write "x.jsonl" or a folder.'
            )
        try:
            self._writer.writerows([[cell_of(row.get(name)) for name in self._names] for row in rows])
        except TypeError as error:
            raise JobError(f"An answer has a {error}, which has no text form in CSV; make a text of it.") from error

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


class LinesWriter:
    """Answers as JSON, one a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._encoder = msgspec.json.Encoder(enc_hook=_plain)

    def add(self, rows: list[Any]) -> None:
        try:
            self._file.write(self._encoder.encode_lines(rows))
        except (TypeError, ValueError) as error:
            raise JobError(f"An answer has no form in JSON: {error}.") from error

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


class RowsWriter:
    """Answers as they are."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")

    def add(self, rows: list[Any]) -> None:
        spill.add(self._file, rows)

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


def _plain(value: Any) -> Any:
    found = plain_of(value)
    if found is value:
        raise TypeError(f"there is a {type(value).__name__} in it")
    return found


WRITERS: dict[Form, Callable[[Path], PartWriter]] = {
    Form.PARQUET: ParquetWriter,
    Form.CSV: CSVWriter,
    Form.LINES: LinesWriter,
    Form.ROWS: RowsWriter,
}


# --- whole files ---


@contextmanager
def aside(path: Path, *, is_synced: bool = True) -> Iterator[Path]:
    """A path to write to; when the block ends well, that is what `path` names, and else nothing has changed.

    What stands there is on the disk as a whole (`is_synced`), or it is not there: after a loss of power a file may be
    missing, and its part runs again.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.txt")
    >>> with aside(path) as draft:
    ...     _ = draft.write_text("whole")
    >>> path.read_text()
    'whole'
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(3).hex()}")
    try:
        yield draft
        if is_synced:
            with draft.open("rb") as file:
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def synced(folder: Path) -> None:
    """What was renamed in a folder is so after a loss of power too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def written(path: Path, name: str) -> Written:
    """The size and the hash of a file."""
    told = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            told.update(block)
    return Written(name, path.stat().st_size, told.hexdigest())


def copied(source: BinaryIO, target: BinaryIO) -> None:
    while block := source.read(CHUNK):
        target.write(block)
