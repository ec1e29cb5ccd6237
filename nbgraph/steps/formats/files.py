"""Files: the files of a source, and text read from and written to a file."""

from __future__ import annotations

import glob
import io
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TextIO, cast

from nbgraph.errors import GraphError

Paths = str | Path | Sequence[str | Path]
COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}  # by suffix: the module that reads and writes it
MANY = 12  # names of a folder that an error lists


def files_of(source: str, paths: Paths) -> list[Path]:
    """The files, or folders, that paths with `*` stand for, in the order of their names.

    >>> files_of("CSVSource", "/none/*.csv")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: CSVSource finds no file /none/*.csv; there is no folder /none.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    return [file for path in given for file in _files_of(source, Path(path))]


def _files_of(source: str, path: Path) -> list[Path]:
    found = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    if not found:
        raise missing(source, path)
    return found


def missing(source: str, path: Path) -> GraphError:
    """The error for a file that does not exist."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return GraphError(f"{source} finds no file {path}; there is no folder {folder}.")
    names = sorted(file.name for file in folder.iterdir())
    listed = ", ".join([*names[:MANY], *(["..."] if len(names) > MANY else [])])
    return GraphError(f"{source} finds no file {path}; the folder {folder} has: {listed or 'nothing'}.")


def open_text(path: Path, mode: str, encoding: str) -> TextIO:
    """A file as text with the line ends that it has; compressed where its name says so (gz, bz2, xz, zip)."""
    if path.suffix == ".zip":
        return io.TextIOWrapper(_only_member(path, mode), encoding, newline="")
    module = COMPRESSED.get(path.suffix)
    opener = import_module(module).open if module else open
    try:
        return cast(TextIO, opener(path, f"{mode}t", encoding=encoding, newline=""))
    except LookupError as error:
        raise GraphError(
            f'encoding="{encoding}" is unknown to Python; expected one such as "utf-8" or "cp1252".'
        ) from error


def ends_with_line(path: Path) -> bool:
    """Whether text appended to a file begins a new line; assumed of a compressed one."""
    if path.suffix in COMPRESSED:
        return True
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        return file.read() in (b"\n", b"\r")


def _only_member(path: Path, mode: str) -> IO[bytes]:
    """The only file in a zip archive."""
    from zipfile import ZipFile

    if mode != "r":
        raise GraphError(f"{path} is a zip archive, which can be read but not written; name it .gz.")
    archive: Any = ZipFile(path)
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if len(names) != 1:
        raise GraphError(f"{path} holds {len(names)} files; expected one: {', '.join(names[:MANY])}.")
    return cast(IO[bytes], archive.open(names[0]))
