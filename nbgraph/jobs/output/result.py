"""Finish: where a job's result is, how it becomes whole, and how it is read."""

from __future__ import annotations

import csv
import ctypes
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.errors import JobError
from nbgraph.jobs.folder import JobDocument, JobFolder
from nbgraph.jobs.output.form import Form
from nbgraph.jobs.output.writers import LISTS, VALUES, aside, unified
from nbgraph.jobs.part import PartRecord
from nbgraph.steps.formats.parquet import held, is_open, notes_of
from nbgraph.steps.optional import package
from nbgraph.steps.sources.csv import CSVSource

HOME = "NBGRAPH_JOBS"
AT_FDCWD, EXCHANGE = -100, 2
CHANGED = "{} since the parts of {} were made. Start anew: resume=False; the old result stays until the new is whole."


# --- where it is ---


def home() -> Path:
    """Where jobs are known by their names."""
    return Path(os.environ.get(HOME) or Path.home() / ".nbgraph" / "jobs")


def know(name: str, folder: Path) -> None:
    """Let others find the job by its name."""
    if folder.parent == home():
        return
    home().mkdir(parents=True, exist_ok=True)
    with aside(home() / f"{name.replace(os.sep, '_')}.json") as draft:
        draft.write_bytes(msgspec.json.encode({"folder": str(folder.absolute())}))


def found(given: str | Path) -> Path:
    """The folder of a job that is named, or told by its folder or its file."""
    path = Path(given)
    for place in (path, path.with_name(f"{path.name}.job"), home() / path):
        if JobFolder(place).is_there:
            return place
        if JobFolder(_beside(place)).is_there:
            return _beside(place)
    with suppress(FileNotFoundError):
        told = msgspec.json.decode((home() / f"{path.name}.json").read_bytes())
        if JobFolder(Path(told["folder"])).is_there:
            return Path(told["folder"])
    raise JobError(f'There is no job in "{given}", and none of that name in {home()}.')


def place_for(folder: Path, about: JobDocument, *, resume: bool) -> JobFolder:
    """Where a job works: the folder of its result, or one beside it that takes its place when it is whole."""
    here, beside = JobFolder(folder), JobFolder(_beside(folder))
    if not resume:
        if not here.is_there and not _has_files(folder):
            return here
        if not here.is_there:
            raise _foreign(folder)
        _refuse_locked(beside)
        shutil.rmtree(beside.path, ignore_errors=True)
        return beside
    if beside.is_there and not difference(beside.about(), about):
        return beside
    if here.is_there:
        changed = difference(here.about(), about)
        if changed:
            raise JobError(CHANGED.format(changed, folder))
        return here
    if _has_files(folder):
        raise _foreign(folder)
    return here


def difference(old: JobDocument, new: JobDocument) -> str:
    """What is not as it was; empty where all is."""
    parts = [name for name in {**old.code, **new.code} if old.code.get(name) != new.code.get(name)]
    if parts:
        return f'Graph "{new.name}" has changed ({", ".join(parts)})'
    if old.source != new.source:
        return f"The source has changed ({_differs(old.source, new.source)})"
    if old.options != new.options:
        return f"The job's options have changed ({_differs(old.options, new.options)})"
    return ""


def _differs(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(f"{name}: {old.get(name)!r:.80} -> {new.get(name)!r:.80}" for name in names)


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.next")


def _has_files(folder: Path) -> bool:
    return folder.is_file() or (folder.is_dir() and any(folder.iterdir()))


def _foreign(folder: Path) -> JobError:
    return JobError(f"{folder} has files that no job has written; name another target, or remove them.")


def _refuse_locked(place: JobFolder) -> None:
    if place.is_there and place.is_locked():
        raise JobError(f"{place.path} is worked on by another process; wait for it, or stop it.")


def exchange(new: Path, old: Path) -> None:
    """Put a folder in the place of another, at once where the system can; the old one is removed."""
    if old.exists():
        libc = ctypes.CDLL(None, use_errno=True)
        is_done = hasattr(libc, "renameat2") and not libc.renameat2(
            AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old), EXCHANGE
        )
        if is_done:
            shutil.rmtree(new)
            return
        away = old.with_name(f"{old.name}.old")
        old.rename(away)
        new.rename(old)
        shutil.rmtree(away)
        return
    new.rename(old)


# --- how it becomes whole ---


def complete(place: JobFolder, form: Form, target: Any, records: Mapping[int, PartRecord]) -> None:
    """All parts are there: check that they go together, and write the one file that was asked for."""
    if form is Form.PARQUET:
        _schema(place, records)
    elif form.is_one_file:
        _join(place, form, Path(target), records)
    place.succeed()


def _join(place: JobFolder, form: Form, target: Path, records: Mapping[int, PartRecord]) -> None:
    if place.is_whole and target.is_file():
        return
    files = [place.path / record.file for _, record in sorted(records.items())]
    target.parent.mkdir(parents=True, exist_ok=True)
    with aside(target) as draft:
        if form is Form.LINES:
            with draft.open("wb") as joined:
                for file in files:
                    with file.open("rb") as part:
                        shutil.copyfileobj(part, joined)
        else:
            _join_csv(draft, files)


def _join_csv(draft: Path, files: list[Path]) -> None:
    """All rows under one line of names, which are those of all parts."""
    names: dict[str, None] = {}
    for file in files:
        with file.open(encoding="utf-8", newline="") as part:
            names |= dict.fromkeys(next(csv.reader(part), ()))
    with draft.open("w", encoding="utf-8", newline="") as joined:
        writer = csv.writer(joined, lineterminator="\n")
        writer.writerow(names)
        for file in files:
            with file.open(encoding="utf-8", newline="") as part:
                head = part.readline()
                if next(csv.reader([head]), []) == list(names):
                    shutil.copyfileobj(part, joined)
                    continue
                part.seek(0)
                writer.writerows([row.get(name, "") for name in names] for row in csv.DictReader(part))


# --- how it is read ---


def dataset(place: JobFolder, form: Form, records: Mapping[int, PartRecord]) -> Any:
    if form is not Form.PARQUET:
        raise JobError(f"The job has no Parquet files: it wrote {form}.")
    arrow = package("pyarrow.dataset", "job.dataset()", "pyarrow")
    files = [str(place.path / record.file) for _, record in sorted(records.items())]
    return arrow.dataset(files, schema=_schema(place, records), format="parquet")


def _schema(place: JobFolder, records: Mapping[int, PartRecord]) -> Any:
    """The types of all parts together."""
    arrow = package("pyarrow", "A job that writes Parquet")
    parquet = package("pyarrow.parquet", "A job that writes Parquet", "pyarrow")
    types: dict[str, list[Any]] = {}
    for _, record in sorted(records.items()):
        schema = parquet.read_schema(place.path / record.file)
        known = {field.name: field.type for field in held(schema)}
        for name in [*known, *notes_of(schema).get("missing", ())]:
            types.setdefault(name, [])
            if name in known:
                types[name].append(known[name])
    whole = {}
    for name, kinds in types.items():
        told = [kind for kind in kinds if not is_open(kind)] or kinds or [arrow.string()]
        whole[name] = unified(arrow, name, told)
    return arrow.schema(list(whole.items()))


def frame(place: JobFolder, form: Form, target: Any, records: Mapping[int, PartRecord]) -> Any:
    """All answers as a DataFrame."""
    import pandas

    if form is Form.ROWS:
        raise JobError("The job keeps no result: its rows are those of the feature set, set.frame().")
    if form in (Form.NOTHING, Form.TARGET):
        whose = "its target" if form is Form.TARGET else "the graph's own targets"
        raise JobError(
            f"The job keeps no result: {whose} wrote it. Name a folder as the target: graph.job(source, folder)."
        )
    files = [place.path / record.file for _, record in sorted(records.items())]
    if form.is_one_file and place.is_whole:
        files = [Path(target)]
    if form is Form.LINES:
        return pandas.DataFrame(
            [value for file in files for value in msgspec.json.Decoder().decode_lines(file.read_bytes())]
        )
    if form is Form.CSV:
        return pandas.DataFrame(list(CSVSource(files)))
    table = dataset(place, form, records).to_table()
    columns = {name: _column(table[name]) for name in table.column_names}
    found = pandas.DataFrame(columns) if columns else pandas.DataFrame()
    if {record.form for record in records.values()} & {VALUES, LISTS}:
        found.columns = pandas.RangeIndex(len(found.columns))
    return found


def _column(column: Any) -> Any:
    """A column as pandas makes it of Python's values."""
    import pandas

    arrow = package("pyarrow", "job.result()")
    types = arrow.types
    kind = column.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_string(kind) or types.is_boolean(kind):
        return column.to_pandas()
    return pandas.Series(column.to_pylist())
