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
from urllib.parse import urlsplit

from nbgraph.contract import REQUIREMENTS_FILE
from nbgraph.deploy.options.requirements import HASH, lines_in, remarks_in
from nbgraph.errors import DeployError

HERE = (sys.version_info.major, sys.version_info.minor)
PIP = [sys.executable, "-m", "pip"]
LAST_LINES = 12


def can_fetch(machine: str) -> bool:
    """Whether wheels fetched here fit a Linux image of that machine type; else the build asks the index itself."""
    same = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
    here = same.get(platform.machine().lower())
    return sys.platform == "linux" and here is not None and same.get(machine.lower()) == here and _has_pip()


def fetched_for(files: Mapping[str, bytes], version: tuple[int, int], index_url: str | None) -> list[Path]:
    """Wheels of all that a project's lists name, for the Python of its image."""
    bundled = {
        path.removeprefix("wheels/"): files[path] for path in files if path.startswith("wheels/") and "whl" in path
    }
    runtime, code = (lines_in(files[path].decode()) for path in (f"runtime/{REQUIREMENTS_FILE}", REQUIREMENTS_FILE))
    notes = remarks_in(files[REQUIREMENTS_FILE].decode())
    if any(HASH in line for line in code):  # what has a hash is taken as it is, and comes alone
        return [
            *fetched(runtime, {}, version=version, index_url=index_url),
            *fetched(code, bundled, version=version, index_url=index_url, notes=notes),
        ]
    return fetched(sorted({*runtime, *code}), bundled, version=version, index_url=index_url, notes=notes)


def fetched(
    requirements: Sequence[str],
    bundled: Mapping[str, bytes],
    *,
    version: tuple[int, int] = HERE,
    index_url: str | None = None,
    notes: Sequence[str] = (),
) -> list[Path]:
    """Wheels of all the requirements but the bundled ones, by file name; from the cache where fetched before.

    `version`: of the Python that they are for. `notes`: what to tell where that fails.
    """
    cache = cache_folder()
    python = platform.python_version() if version == HERE else f"{version[0]}.{version[1]}"
    told = "\n".join([python, *([index_url] if index_url else []), *sorted(requirements)])
    listing = cache / "sets" / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.json"
    found = _listed(listing, cache)
    if found is not None:
        return found
    with tempfile.TemporaryDirectory(prefix="nbgraph-wheels-") as folder:
        room = Path(folder)
        for name, content in bundled.items():
            (room / name).write_bytes(content)
        _fetch(requirements, room, [room, cache], version, index_url, notes)
        names = sorted(path.name for path in room.iterdir() if path.suffix != ".in" and path.name not in bundled)
        listing.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            _keep(room / name, cache / name)
    listing.write_text(json.dumps(names))
    return [cache / name for name in names]


def check_login(index_url: str | None) -> None:
    """Refuse an index with a login where the build has to ask it, since what a build is told stays with its layers."""
    if index_url is not None and "@" in urlsplit(index_url).netloc:
        raise DeployError(
            "Packages can't be fetched here for the Docker daemon's kind of machine, so the build has to ask the index "
            "itself, and a login in index_url would stay in its layers; give an index without one."
        )


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


def _fetch(
    requirements: Sequence[str],
    folder: Path,
    sources: Sequence[Path],
    version: tuple[int, int],
    index_url: str | None,
    notes: Sequence[str],
) -> None:
    wanted = folder / "requirements.in"
    wanted.write_text("".join(f"{line}\n" for line in requirements))
    is_hashed = any(HASH in line for line in requirements)
    words = ["download", *_elsewhere(version)] if is_hashed or version != HERE else ["wheel"]
    command = [*PIP, *words, "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--dest" if words[0] == "download" else "--wheel-dir", str(folder)]
    command += [word for source in sources for word in ("--find-links", str(source))]
    # The address of an index goes by the environment: a command is seen by everyone on the machine.
    environment = {**os.environ, **({"PIP_INDEX_URL": index_url} if index_url else {})}
    result = subprocess.run([*command, "-r", str(wanted)], capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()[-LAST_LINES:]
        told = [line.replace(index_url, "(index_url)") if index_url else line for line in lines]
        raise DeployError(
            "\n".join(["The packages that the graph needs could not be fetched; pip says:", *told, *notes])
        )


def _elsewhere(version: tuple[int, int]) -> list[str]:
    """How pip is told of another Python than its own, of which it can only take wheels."""
    if version == HERE:
        return []
    machine = platform.machine().lower()
    places = [f"{word}_{machine}" for word in ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "linux")]
    chosen = [word for place in places for word in ("--platform", place)]
    return ["--only-binary=:all:", "--implementation", "cp", "--python-version", f"{version[0]}.{version[1]}", *chosen]


def _has_pip() -> bool:
    return subprocess.run([*PIP, "--version"], capture_output=True, check=False).returncode == 0
