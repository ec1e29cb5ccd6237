"""Wheel: a distribution put together again from its installed files, the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.resources
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from email.parser import Parser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nbgraph.errors import DeployError, ExportError

LAST_LINES = 12
MIDNIGHT = (1980, 1, 1, 0, 0, 0)  # the earliest moment a zip file can hold
PURE = "Wheel-Version: 1.0\nGenerator: nbgraph\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def own_wheel() -> tuple[str, bytes]:
    """The nbgraph that is running, as a wheel; also where it is installed editable.

    >>> own_wheel()[0]
    'nbgraph-...-py3-none-any.whl'
    """
    distribution = importlib.metadata.distribution("nbgraph")
    package = Path(str(importlib.resources.files("nbgraph")))
    files = {
        f"nbgraph/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in path.parts[-3:])
    }
    return _packed(distribution, files, PURE)


def wheel_of(name: str) -> tuple[str, bytes]:
    """An installed distribution as a wheel: for those that no index has."""
    distribution = importlib.metadata.distribution(name)
    source = _edited(distribution)
    if source is not None:
        return built_wheel(source)
    files = {}
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file)))
        if ".." in file.parts or file.suffix == ".pyc" or _is_metadata(file.parts[0]):
            continue  # scripts are made anew from the entry points
        files[file.as_posix()] = path.read_bytes()
    if not any(path.endswith((".py", ".so", ".pyd")) for path in files):
        raise ExportError(
            f'The files of "{name}" can\'t be collected from the way it is installed; build a wheel of it and '
            f'`pip install` that, or name a published version: requirements=["{name}==..."].'
        )
    return _packed(distribution, files, distribution.read_text("WHEEL") or PURE)


def built_wheel(folder: Path) -> tuple[str, bytes]:
    """The wheel that pip builds of a folder, with the same bytes every time."""
    with tempfile.TemporaryDirectory(prefix="nbgraph-build-") as room:
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--disable-pip-version-check",
            "--no-deps",
            "--wheel-dir",
            room,
        ]
        ran = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
        found = list(Path(room).glob("*.whl"))
        if ran.returncode or not found:
            told = "\n".join((ran.stderr.strip() or ran.stdout.strip()).splitlines()[-LAST_LINES:])
            raise DeployError(f"No wheel can be built of {folder}; pip says:\n{told}")
        with zipfile.ZipFile(found[0]) as archive:
            return found[0].name, _zipped({name: archive.read(name) for name in archive.namelist() if name[-1] != "/"})


def _is_metadata(folder: str) -> bool:
    return folder.endswith((".dist-info", ".egg-info"))


def _edited(distribution: importlib.metadata.Distribution) -> Path | None:
    """The folder that a distribution is installed from editable: its files stand there, not where packages do."""
    told = json.loads(distribution.read_text("direct_url.json") or "{}")
    is_editable = told.get("dir_info", {}).get("editable", False)
    return Path(unquote(urlsplit(told["url"]).path)) if is_editable else None


def _packed(distribution: importlib.metadata.Distribution, files: Mapping[str, bytes], tags: str) -> tuple[str, bytes]:
    stem = f"{re.sub(r'[-_.]+', '_', distribution.metadata['Name'])}-{distribution.version}"
    folder = f"{stem}.dist-info"
    metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    content = {**files, f"{folder}/METADATA": metadata.encode(), f"{folder}/WHEEL": tags.encode()}
    entry_points = distribution.read_text("entry_points.txt")
    if entry_points:
        content[f"{folder}/entry_points.txt"] = entry_points.encode()
    content[f"{folder}/RECORD"] = _record(content, folder).encode()
    return f"{stem}-{_tag(tags)}.whl", _zipped(content)


def _tag(text: str) -> str:
    """The compressed tag set of a WHEEL file, as it stands in the file's name."""
    tags = [tag.split("-") for tag in Parser().parsestr(text).get_all("Tag", ["py3-none-any"])]
    return "-".join(".".join(dict.fromkeys(tag[place] for tag in tags)) for place in range(3))


def _record(content: Mapping[str, bytes], folder: str) -> str:
    rows = []
    for path in sorted(content):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content[path]).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(content[path])}\n")
    return "".join([*rows, f"{folder}/RECORD,,\n"])


def _zipped(content: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(content):
            entry = zipfile.ZipInfo(path, MIDNIGHT)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content[path], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
