"""Folder: where an export is written; whole or not at all, and never over what is somebody else's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbgraph.deploy.project.project import write
from nbgraph.errors import ExportError

MANIFEST = "nbgraph.json"
VERSION = 1


def manifest(told: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """What the folder is known by: whose it is, and the SHA-256 of each of its files."""
    return (
        json.dumps({"version": VERSION, **told, "files": hashes(files)}, indent=2, ensure_ascii=False) + "\n"
    ).encode()


def hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}


def owned(folder: Path) -> set[str]:
    """The files of an earlier export into the folder; refuses one that holds anything else's."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return set()
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {*told["files"], MANIFEST}
    except (OSError, ValueError, KeyError, TypeError):
        raise ExportError(
            f"{folder} is not empty and was not written by an export (it has no {MANIFEST}); choose a new folder."
        ) from None


def replace(folder: Path, files: Mapping[str, bytes], before: set[str]) -> None:
    """The new project stands complete beside the old one before it takes its place; files of others stay."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as room:
        fresh, old = Path(room) / "new", Path(room) / "old"
        fresh.mkdir(mode=0o755)
        write(fresh, files)
        for path in sorted(folder.rglob("*")) if folder.exists() else ():
            inside = path.relative_to(folder).as_posix()
            if path.is_file() and inside not in before and not (fresh / inside).exists():
                (fresh / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, fresh / inside)
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(fresh, folder)
        except BaseException:
            if old.exists():
                os.replace(old, folder)
            raise
