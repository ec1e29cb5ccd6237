"""Artifacts: values too big or too odd for Python text, each in a file whose hash is checked before it is read.

Written at export, read when `handlers.py` is imported in the container. The plainest format that gives the value
back exactly is taken: JSON, then Parquet, then NPY, then pickle. In a pickle functions and classes of the notebook are
referred to by their name in `handlers.py`, or written by value (`pickles.py`). It is only ever read from the project's
own folder (the image's read-only part), never from a request or a queue.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nbgraph.capture import makers
from nbgraph.capture.module.literal import is_entangled
from nbgraph.contract import ARTIFACTS_FILE
from nbgraph.errors import ExportError, NbgraphError

FOLDER = "artifacts"
BIG = 2**20  # bytes
MAX_BYTES = 2**30  # one artifact; a container that loads more than this wants a volume


@dataclass(frozen=True, slots=True)
class Artifact:
    """One row of the manifest."""

    name: str
    file: str
    sha256: str
    bytes: int
    type: str
    format: str
    versions: Mapping[str, str] = field(default_factory=dict)
    python: str = ""  # the version that code in it was made for

    @property
    def is_compared_by_hash(self) -> bool:
        """Whether the file's hash tells enough of the value: tables, arrays, models, big data."""
        return self.format in ("parquet", "polars", "npy") or (self.bytes >= BIG and not self.python)


@dataclass(frozen=True, slots=True)
class Stored:
    """A value as bytes: its format, and the modules that reading it needs."""

    format: str
    content: bytes
    modules: tuple[str, ...] = ()
    has_code: bool = False


def store(value: Any) -> Stored | None:
    """The value in the plainest format that gives it back exactly; None where only a pickle does.

    >>> store([1, {"a": None}]).format
    'json'
    """
    return next((stored for attempt in (_json, _parquet, _npy) if (stored := attempt(value)) is not None), None)


def artifact_of(name: str, value: Any, stored: Stored, versions: Mapping[str, str]) -> Artifact:
    """The manifest's row; refuses what is too big to travel in an image."""
    size = len(stored.content)
    if size > MAX_BYTES:
        raise ExportError(
            f'"{name}" ({_type_name(value)}) takes {size / 2**30:.1f} GiB, more than the {MAX_BYTES / 2**30:.0f} GiB '
            "that an image should hold; let the step load it in post_init() from a mounted volume or a URL."
        )
    file = f"{FOLDER}/{name}.{SUFFIXES[stored.format]}"
    sha256 = hashlib.sha256(stored.content).hexdigest()
    python = f"{sys.version_info.major}.{sys.version_info.minor}" if stored.has_code else ""
    return Artifact(name, file, sha256, size, _type_name(value), stored.format, dict(sorted(versions.items())), python)


def manifest(artifacts: list[Artifact]) -> str:
    """The text of `artifacts.json`."""
    rows = [asdict(artifact) for artifact in sorted(artifacts, key=lambda artifact: artifact.name)]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


class Artifacts:
    """What `handlers.py` reads its artifacts with: called with a name, it gives the value."""

    def __init__(self, folder: Path, rows: Mapping[str, Artifact], names: Mapping[str, Any]) -> None:
        self._folder, self._rows, self._names = folder, rows, names
        self._read: list[tuple[Artifact, Any]] = []

    def __call__(self, name: str) -> Any:
        row = self._rows[name]
        value = load(row, self._folder, self._names)
        if row.is_compared_by_hash:
            self._read.append((row, value))
        return value

    def hashes(self) -> dict[int, str]:
        """The hashes of files, by the ids of the values read from them, of those that are told by it."""
        return {id(value): row.sha256 for row, value in self._read}


def artifacts_of(module: dict[str, Any]) -> Artifacts:
    """The artifacts beside a module, whose names they refer to."""
    folder = Path(module["__file__"]).parent
    rows = {row["name"]: Artifact(**row) for row in json.loads((folder / ARTIFACTS_FILE).read_text(encoding="utf-8"))}
    return Artifacts(folder, rows, module)


def load(artifact: Artifact, folder: Path, names: Mapping[str, Any]) -> Any:
    """The value of an artifact; an error, before anything is read into it, when the file is not the one exported."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if artifact.python and artifact.python != here:
        raise NbgraphError(
            f"{artifact.file} has code for Python {artifact.python}, and this is {here}; take a base image of "
            f"{artifact.python}."
        )
    content = (folder / artifact.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise NbgraphError(f"{artifact.file} is not the file that was exported (its SHA-256 differs); export again.")
    return READERS[artifact.format](content, names)


def _json(value: Any) -> Stored | None:
    if type(value) not in (dict, list) or is_entangled(value):
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        content = text.encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return Stored("json", content) if _is_same(json.loads(content), value) else None


def _is_same(left: Any, right: Any) -> bool:
    """Equal, with the same types all the way down, and dicts in the same order."""
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        return list(left) == list(right) and all(_is_same(left[key], right[key]) for key in left)
    if type(left) is list:
        return len(left) == len(right) and all(map(_is_same, left, right))
    return bool(left == right)


def _parquet(value: Any) -> Stored | None:
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return None
    buffer = io.BytesIO()
    if pandas is not None and type(value) is pandas.DataFrame:
        try:
            value.to_parquet(buffer, engine="pyarrow")
            pandas.testing.assert_frame_equal(_read_parquet(buffer.getvalue()), value, check_exact=True)
        except Exception:  # mixed columns, an index without a name in Parquet: pickle keeps them
            return None
        return Stored("parquet", buffer.getvalue(), ("pandas", "pyarrow"))
    if polars is not None and type(value) is polars.DataFrame:
        value.write_parquet(buffer)
        return Stored("polars", buffer.getvalue(), ("polars",))
    return None


def _read_parquet(content: bytes) -> Any:
    import pandas

    return pandas.read_parquet(io.BytesIO(content), engine="pyarrow")


def _read_polars(content: bytes) -> Any:
    import polars

    return polars.read_parquet(io.BytesIO(content))


def _npy(value: Any) -> Stored | None:
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or value.dtype.hasobject:
        return None
    buffer = io.BytesIO()
    numpy.save(buffer, value, allow_pickle=False)
    return Stored("npy", buffer.getvalue(), ("numpy",))


def _read_npy(content: bytes) -> Any:
    import numpy

    return numpy.load(io.BytesIO(content), allow_pickle=False)


SUFFIXES = {"json": "json", "parquet": "parquet", "polars": "parquet", "npy": "npy", "pickle": "pickle"}
READERS: dict[str, Callable[[bytes, Mapping[str, Any]], Any]] = {
    "json": lambda content, names: json.loads(content),
    "parquet": lambda content, names: _read_parquet(content),
    "polars": lambda content, names: _read_polars(content),
    "npy": lambda content, names: _read_npy(content),
    "pickle": makers.read,
}


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
