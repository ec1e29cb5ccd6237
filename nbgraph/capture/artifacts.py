"""Artifacts: values too big or too odd for Python text, each in a file whose hash is checked before it is read.

Written at export, read when `handlers.py` is imported in the container. The plainest format that gives the value
back exactly is taken: JSON, then Parquet, then NPY, then pickle. A pickle holds no code: functions and classes of
the notebook are referred to by their name in `handlers.py`. It is only ever read from the project's own folder (the
image's read-only part), never from a request or a queue.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nbgraph.errors import ExportError, NbgraphError

MANIFEST = "artifacts.json"
FOLDER = "artifacts"
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


@dataclass(frozen=True, slots=True)
class Stored:
    """A value as bytes: its format, the modules that reading it needs, the names it refers to in `handlers.py`."""

    format: str
    content: bytes
    modules: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


NameOf = Callable[[Any], str | None]  # what a notebook's function or class is called in handlers.py; None for others


def store(value: Any, name_of: NameOf) -> Stored:
    """The value in the plainest format that gives it back exactly.

    >>> store([1, {"a": None}], lambda thing: None).format
    'json'
    """
    for attempt in (_json, _parquet, _npy):
        stored = attempt(value)
        if stored is not None:
            return stored
    return _pickle(value, name_of)


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
    return Artifact(name, file, sha256, size, _type_name(value), stored.format, dict(sorted(versions.items())))


def manifest(artifacts: list[Artifact]) -> str:
    """The text of `artifacts.json`."""
    rows = [asdict(artifact) for artifact in sorted(artifacts, key=lambda artifact: artifact.name)]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def artifacts_of(module: dict[str, Any]) -> Callable[[str], Any]:
    """What `handlers.py` reads its artifacts with: a function of their name."""
    folder = Path(module["__file__"]).parent
    rows = {row["name"]: Artifact(**row) for row in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))}
    return lambda name: load(rows[name], folder, module)


def load(artifact: Artifact, folder: Path, names: Mapping[str, Any]) -> Any:
    """The value of an artifact; an error, before anything is read into it, when the file is not the one exported."""
    content = (folder / artifact.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise NbgraphError(f"{artifact.file} is not the file that was exported (its SHA-256 differs); export again.")
    return READERS[artifact.format](content, names)


def _json(value: Any) -> Stored | None:
    if type(value) not in (dict, list):
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


class _Pickler(pickle.Pickler):
    """Writes functions and classes of the notebook as their names in handlers.py; notes the modules of the rest."""

    def __init__(self, file: io.BytesIO, name_of: NameOf) -> None:
        super().__init__(file, protocol=5)
        self._name_of = name_of
        self.modules: set[str] = set()
        self.names: list[str] = []

    def persistent_id(self, value: Any) -> str | None:
        name = self._name_of(value)
        if name is not None:
            self.names.append(name)
        elif isinstance(value, type) or callable(value):
            module = getattr(value, "__module__", None)
            if isinstance(module, str):
                self.modules.add(module)
        return name


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, names: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._names = names

    def persistent_load(self, name: str) -> Any:
        return self._names[name]


def _pickle(value: Any, name_of: NameOf) -> Stored:
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, name_of)
    pickler.dump(value)
    return Stored("pickle", buffer.getvalue(), tuple(sorted(pickler.modules)), tuple(dict.fromkeys(pickler.names)))


SUFFIXES = {"json": "json", "parquet": "parquet", "polars": "parquet", "npy": "npy", "pickle": "pickle"}
READERS: dict[str, Callable[[bytes, Mapping[str, Any]], Any]] = {
    "json": lambda content, names: json.loads(content),
    "parquet": lambda content, names: _read_parquet(content),
    "polars": lambda content, names: _read_polars(content),
    "npy": lambda content, names: _read_npy(content),
    "pickle": lambda content, names: _Unpickler(io.BytesIO(content), names).load(),
}


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
