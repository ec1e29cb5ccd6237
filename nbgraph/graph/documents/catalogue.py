"""Catalogue: the folder that tells which graphs were deployed, in which versions, and what of them runs where.

graphs/NAME/VERSION.yaml   the document of a graph as it was deployed
running/TARGET.NAME.json   a deployment that runs, for who calls it by its name

The folder is a person's own: other users can't read it, since the keys of callers stand in it.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import msgspec

from nbgraph.errors import DeployError

PLACE = "NBGRAPH_CATALOG"
GRAPHS, RUNNING = "graphs", "running"
MOST = 100  # versions of one graph whose documents are kept
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")


class RunningGraph(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deployment that runs.

    Parameters
    ----------
    name
        Of the deployment.
    graph
        Of its graph.
    version
        As `deploy(version=...)` said, else a count.
    target
        Where it runs.
    url
        Where callers on this machine reach it.
    host
        The address that it listens on.
    inputs
        What it takes: the routes of its graph, its sources.
    calls
        The names of the deployments that it calls.
    features
        The feature sets and vectors that its steps use, each behind its store: "/features#late".
    api_key
        What callers have to show.
    owner
        The process that it ends with, by number and start; None where it goes on by itself.
    """

    name: str
    graph: str
    version: str
    target: str
    url: str
    host: str = "127.0.0.1"
    inputs: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    api_key: str | None = None
    owner: tuple[int, str] | None = None

    def is_meant(self, name: str) -> bool:
        """Whether it goes by that name: its own, or its graph's."""
        return name in (self.name, self.graph)


class GraphCatalogue:
    """The catalogue in a folder.

    >>> import tempfile
    >>> catalogue = GraphCatalogue(Path(tempfile.mkdtemp()))
    >>> catalogue.enter(RunningGraph(name="rates", graph="rates", version="1", target="process", url="http://[::1]:80"))
    >>> catalogue.named("rates").version, catalogue.next_version("rates")
    ('1', '1')
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def here(cls) -> GraphCatalogue:
        """That of this person, or of `NBGRAPH_CATALOG`."""
        told = os.environ.get(PLACE)
        return cls(Path(told) if told else Path.home() / ".nbgraph")

    # --- what runs ---

    def enter(self, running: RunningGraph) -> None:
        """Tell that it runs, in the place of what was told of it before."""
        _write(self._entry(running.target, running.name), msgspec.json.encode(running))

    def leave(self, target: str, name: str) -> None:
        """Tell that it runs no more."""
        self._entry(target, name).unlink(missing_ok=True)

    def running(self) -> list[RunningGraph]:
        """All that was told to run, by name, but for what has ended with its process and could not tell it any more."""
        found = [_read(path) for path in sorted((self.folder / RUNNING).glob("*.json"))]
        there = [one for one in found if one is not None and not _has_ended(one)]
        return sorted(there, key=lambda one: (one.name, one.target))

    def find(self, name: str) -> RunningGraph | None:
        """What runs under that name, else the only deployment of that graph; an error where there are several."""
        found = [one for one in self.running() if one.is_meant(name)]
        chosen = [one for one in found if one.name == name] or found
        if len(chosen) > 1:
            told = ", ".join(f'"{one.name}" on {one.target}' for one in chosen)
            raise DeployError(f'"{name}" is deployed more than once: {told}. Say which by the name of one.')
        return chosen[0] if chosen else None

    def named(self, name: str) -> RunningGraph:
        """As `find`; an error that lists what runs where there is none."""
        found = self.find(name)
        if found is None:
            known = ", ".join(sorted({one.name for one in self.running()})) or "nothing"
            raise DeployError(
                f'No deployment "{name}" runs, as far as the catalogue in {self.folder} tells; deploy its graph: '
                f'graph.deploy(name="{name}"). What runs: {known}.'
            )
        return found

    # --- graphs ---

    def keep(self, name: str, version: str, document: str) -> None:
        """Keep the document of a version; of counted ones those that are long gone are forgotten."""
        place = self.folder / GRAPHS / name / f"{version}.yaml"
        _write(place, document.encode())
        for old in self._documents(name)[:-MOST]:
            old.unlink(missing_ok=True)

    def document(self, name: str, version: str | None = None) -> Path | None:
        """The file of a graph, in the version or the one that was kept last; what a person put there himself counts."""
        if version is not None:
            place = self.folder / GRAPHS / name / f"{version}.yaml"
            return place if place.is_file() else None
        own = [self.folder / f"{name}{ending}" for ending in (".yaml", ".yml", ".json")]
        return next(reversed([*filter(Path.is_file, own), *self._documents(name)]), None)

    def graphs(self) -> dict[str, list[str]]:
        """The versions of each graph whose document is there, the newest last."""
        own = {path.stem: [""] for path in sorted(self.folder.glob("*.*")) if path.suffix in (".yaml", ".yml", ".json")}
        kept = sorted(path.name for path in (self.folder / GRAPHS).glob("*") if path.is_dir())
        return {**own, **{name: [path.stem for path in self._documents(name)] for name in kept}}

    def next_version(self, name: str) -> str:
        """One more than the highest count that was given."""
        counts = [int(path.stem) for path in self._documents(name) if path.stem.isdecimal()]
        return str(max(counts, default=0) + 1)

    def _documents(self, name: str) -> list[Path]:
        found = [path for path in (self.folder / GRAPHS / name).glob("*.yaml") if path.is_file()]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def _entry(self, target: str, name: str) -> Path:
        return self.folder / RUNNING / f"{target}.{name}.json"


def checked_version(version: object) -> str:
    """The version, where files and headers take it.

    >>> checked_version("1.2")
    '1.2'
    """
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise DeployError(
            f'version={version!r} can\'t name a version; expected letters, digits, ".", "_", "+", "-", such as "1.2".'
        )
    return version


def _read(path: Path) -> RunningGraph | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):  # it has just ended, or another version wrote it
        return msgspec.json.decode(path.read_bytes(), type=RunningGraph)
    return None


def _has_ended(running: RunningGraph) -> bool:
    """Whether there is no process of its owner's number any more."""
    if running.owner is None:
        return False
    try:
        os.kill(running.owner[0], 0)
    except (ProcessLookupError, PermissionError):  # of another user: not the owner's
        return True
    return False


def _write(place: Path, content: bytes) -> None:
    """Whole or not at all, and for this person's eyes only."""
    for folder in reversed(place.parents[:3]):  # `parents=True` would make those between for everyone
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    unfinished.replace(place)
