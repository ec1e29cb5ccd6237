"""Model files: found in a folder, and read only by formats that can't run code."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbgraph.contract import ARTIFACTS_FILE, HANDLERS_MODULE
from nbgraph.errors import GraphError
from nbgraph.steps.optional import package

PICKLES = (".pkl", ".pickle", ".joblib")


def file_of(path: str | Path, suffix: str = "") -> tuple[str, dict[str, str]]:
    """The model's file at the path, or of that suffix in the folder there; and the folder's other files by name."""
    given = Path(path)
    if given.is_file():
        return str(given), {}
    if not given.is_dir():
        raise GraphError(
            f'There is no model at "{path}" (looked in {Path.cwd()}); give the path of a file or a folder.'
        )
    files = {file.name: str(file) for file in sorted(given.iterdir()) if file.is_file()}
    fitting = [name for name in files if name.endswith(suffix)] if suffix else list(files)
    if len(fitting) != 1:
        raise GraphError(
            f'The folder "{path}" has {len(fitting) or "no"} files{f" that end in {suffix}" if suffix else ""}'
            f"{': ' + ', '.join(fitting) if fitting else ''}; name the one that holds the model."
        )
    return files.pop(fitting[0]), files


def read_estimator(file: str, *, allow_pickle: bool, trusted: Sequence[str] = ()) -> Any:
    """The object in a skops file, or in a pickle that belongs to the deployed graph or is allowed."""
    suffix = Path(file).suffix.lower()
    if suffix == ".skops":
        return _read_skops(file, trusted)
    if suffix in PICKLES:
        return _read_pickle(Path(file), allow_pickle)
    raise GraphError(f'"{file}" ends in {suffix or "nothing"}; expected .skops, or one of {", ".join(PICKLES)}.')


def is_own_artifact(path: Path, content: bytes) -> bool:
    """Whether the file is an unchanged artifact of the deployed graph that runs here."""
    folder = getattr(sys.modules.get(HANDLERS_MODULE), "__file__", None)
    if folder is None:
        return False
    root, path = Path(folder).resolve().parent, path.resolve()
    manifest = root / ARTIFACTS_FILE
    if not path.is_relative_to(root) or not manifest.is_file():
        return False
    rows = json.loads(manifest.read_text(encoding="utf-8"))
    return hashlib.sha256(content).hexdigest() in {row["sha256"] for row in rows if (root / row["file"]) == path}


def _read_skops(file: str, trusted: Sequence[str]) -> Any:
    skops = package("skops.io", "A .skops model", "skops")
    unknown = sorted(set(skops.get_untrusted_types(file=file)) - set(trusted))
    if unknown:
        raise GraphError(
            f'"{file}" holds types that are not known to be harmless: {", ".join(unknown)}. If you trust where it '
            f"comes from: trusted={unknown!r}."
        )
    return skops.load(file, trusted=list(trusted))


def _read_pickle(path: Path, allow_pickle: bool) -> Any:
    content = path.read_bytes()  # read once, so that the bytes that are checked are the bytes that are loaded
    if not (allow_pickle or is_own_artifact(path, content)):
        raise GraphError(
            f'"{path}" is a pickle, which can run any code when it is read. Save the model with '
            'skops.io.dump(model, "model.skops"), or, where you made the file yourself, give allow_pickle=True.'
        )
    if path.suffix.lower() == ".joblib":
        return package("joblib", "A .joblib model").load(io.BytesIO(content))
    return pickle.loads(content)
