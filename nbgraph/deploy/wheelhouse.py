"""Wheelhouse: the pinned packages, fetched on this machine with its own pip settings, kept for the next build.

The image is then built from files alone: it needs no network, gives the same result again, and neither the address
nor the password of a private index can end up in a layer.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbgraph.errors import DeployError

PIP = [sys.executable, "-m", "pip"]
LAST_LINES = 12


def can_fetch(machine: str) -> bool:
    """Whether wheels fetched here fit a Linux image of that machine type; else the build asks the index itself."""
    same = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
    here = same.get(platform.machine().lower())
    return sys.platform == "linux" and here is not None and same.get(machine.lower()) == here and _has_pip()


def fetched(requirements: Sequence[str], bundled: Mapping[str, bytes]) -> list[Path]:
    """Wheels of all the requirements but the bundled ones, by file name; from the cache where fetched before."""
    cache = cache_folder()
    key = hashlib.sha256("\n".join([platform.python_version(), *sorted(requirements)]).encode()).hexdigest()[:24]
    listing = cache / "sets" / f"{key}.json"
    found = _listed(listing, cache)
    if found is not None:
        return found
    with tempfile.TemporaryDirectory(prefix="nbgraph-wheels-") as folder:
        room = Path(folder)
        for name, content in bundled.items():
            (room / name).write_bytes(content)
        _fetch(requirements, room, [room, cache])
        names = sorted(path.name for path in room.glob("*.whl") if path.name not in bundled)
        listing.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            _keep(room / name, cache / name)
    listing.write_text(json.dumps(names))
    return [cache / name for name in names]


def _keep(wheel: Path, place: Path) -> None:
    """Two kernels may fetch the same wheel at once; neither may see half of the other's."""
    unfinished = place.with_suffix(f".{os.getpid()}")
    shutil.copyfile(wheel, unfinished)
    unfinished.replace(place)


def cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "nbgraph" / "wheels"


def _listed(listing: Path, cache: Path) -> list[Path] | None:
    try:
        paths = [cache / name for name in json.loads(listing.read_text())]
    except (OSError, ValueError):
        return None
    return paths if all(path.is_file() for path in paths) else None


def _fetch(requirements: Sequence[str], folder: Path, sources: Sequence[Path]) -> None:
    wanted = folder / "requirements.in"
    wanted.write_text("".join(f"{line}\n" for line in requirements))
    command = [*PIP, "wheel", "--disable-pip-version-check", "--progress-bar", "off", "--wheel-dir", str(folder)]
    command += [word for source in sources for word in ("--find-links", str(source))]
    result = subprocess.run([*command, "-r", str(wanted)], capture_output=True, text=True, check=False)
    if result.returncode:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()[-LAST_LINES:]
        raise DeployError("The packages that the graph needs could not be fetched; pip says:\n" + "\n".join(lines))


def _has_pip() -> bool:
    return subprocess.run([*PIP, "--version"], capture_output=True, check=False).returncode == 0
