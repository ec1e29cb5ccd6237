"""Requirements: the distributions behind the modules that the captured code imports, pinned as they are here."""

from __future__ import annotations

import importlib.metadata
import json
import os
import site
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nbgraph.errors import ExportError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# What the worker itself needs.
RUNTIME = ("msgspec", "PyYAML", "starlette", "uvicorn", "httptools", "httpx", "prometheus-client", "nest-asyncio2")
LOCAL = "installed here: "  # a remark of a version that no index has under its whole name
OWN = "nbgraph"  # the wheel of the nbgraph that is running goes along, so it is never pinned


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of requirements.txt; `via` are those that need it, empty for what the code itself imports.

    `here`: the version that is installed, where an index has it under another name.
    """

    name: str
    line: str
    via: tuple[str, ...] = ()
    here: str = ""

    @property
    def remark(self) -> str:
        """What stands behind the line."""
        words = [f"{LOCAL}{self.here}"] if self.here else []
        return "; ".join([*words, *([f"via {', '.join(self.via)}"] if self.via else [])])


@dataclass(frozen=True, slots=True)
class Requirements:
    """All pins; `bundled` are the names of those that no index has (from a folder, URL or file)."""

    pins: tuple[Pin, ...] = ()
    bundled: tuple[str, ...] = ()

    def text(self) -> str:
        """The lines of requirements.txt, sorted, with the reason of each.

        >>> print(Requirements((Pin("numpy", "numpy==2.1", ("pandas",)),)).text(), end="")
        numpy==2.1  # via pandas
        """
        return "".join(pin.line + (f"  # {pin.remark}" if pin.remark else "") + "\n" for pin in self.pins)

    def lines(self) -> list[str]:
        return [pin.line for pin in self.pins]


@dataclass(slots=True)
class _Found:
    """What is known of a distribution while the closure grows."""

    extras: set[str] = field(default_factory=set)
    via: set[str] = field(default_factory=set)


def requirements_of(modules: Iterable[str], extra: Iterable[str] = ()) -> Requirements:
    """The distributions of the modules and all that those need, pinned to the versions installed here.

    `extra` are requirement lines of the user's own: they are added, or replace the pin of the same name.
    """
    given = {_canonical(requirement.name): (requirement, hashes) for requirement, hashes in map(_parsed, extra)}
    wanted = {name for module in modules if (name := distribution_of(module)) not in (None, OWN)}
    found = _closure([*(str(name) for name in wanted), *(str(requirement) for requirement, _ in given.values())])
    bundled = tuple(name for name in sorted(found) if name not in given and is_off_index(name))
    rows = [_pin(name, found[name], is_bundled=name in bundled) for name in sorted(found) if name not in given]
    rows += [Pin(name, " ".join([str(requirement), *hashes])) for name, (requirement, hashes) in given.items()]
    return Requirements(tuple(sorted(rows, key=lambda pin: pin.name)), bundled)


def runtime_requirements(transport: Sequence[str] = ()) -> Requirements:
    """What the worker in the container needs, nbgraph itself apart; `transport`: what its way to others needs."""
    found = _closure((*RUNTIME, *transport))
    return Requirements(tuple(_pin(name, found[name], is_bundled=False) for name in sorted(found)))


def distribution_of(module: str) -> str | None:
    """The canonical name of the distribution that a module was installed with; None for all that was not installed.

    >>> distribution_of("yaml"), distribution_of("json.decoder"), distribution_of("no_such_module")
    ('pyyaml', None, None)
    """
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names:
        return None
    owners = sorted({_canonical(name) for name in _owners(_stamp()).get(root, ())})
    if len(owners) > 1:  # a namespace package: whoever installed this very module
        path = module.replace(".", "/")
        owners = [name for name in owners if _has_file(name, path)] or owners
    return owners[0] if owners else None


def import_path() -> str:
    """PYTHONPATH of a process on this machine that is to find the packages that are found here.

    A notebook may have added a folder of them to `sys.path`. A folder of modules of one's own is none: those travel.
    """
    usual = {Path(place).resolve() for place in (*site.getsitepackages(), site.getusersitepackages())}
    added = [place for place in sys.path if Path(place).resolve() not in usual and any(Path(place).glob("*.dist-info"))]
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), *added]))


def is_off_index(name: str) -> bool:
    """Whether the distribution was installed from a folder, a file or a repository (PEP 610)."""
    return direct_url(name) is not None


def direct_url(name: str) -> Mapping[str, object] | None:
    text = importlib.metadata.distribution(name).read_text("direct_url.json")
    return json.loads(text) if text else None


@lru_cache(maxsize=1)
def _owners(stamp: tuple[int, ...]) -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _stamp() -> tuple[int, ...]:
    """When the folders of packages have changed last: something may be installed while this process runs."""
    return tuple(os.stat(place).st_mtime_ns for place in sys.path if os.path.isdir(place))


def _has_file(name: str, path: str) -> bool:
    files = importlib.metadata.distribution(name).files or ()
    return any(str(file).startswith((f"{path}.", f"{path}/")) for file in files)


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name  # not in images, where modules that name a deployment are loaded too

    return canonicalize_name(name)


def _requirement(line: str) -> Requirement:
    from packaging.requirements import Requirement

    return Requirement(line)


def _parsed(line: str) -> tuple[Requirement, list[str]]:
    """A line, and the hashes behind it."""
    words, *hashes = line.split(" --hash=")
    try:
        return _requirement(words), [f"--hash={one.strip()}" for one in hashes]
    except ValueError as error:
        raise ExportError(f'Requirement "{line}" can\'t be read: {error}. Write it as pip does: "name==1.2".') from None


def _closure(lines: Iterable[str]) -> dict[str, _Found]:
    """All installed distributions that the lines lead to; those that are not installed are left to pip."""
    found: dict[str, _Found] = {}
    waiting = [(_requirement(line), "") for line in lines]
    while waiting:
        requirement, parent = waiting.pop()
        name = _canonical(requirement.name)
        distribution = _installed(name)
        if distribution is None or name == OWN:
            continue
        known = name in found
        entry = found.setdefault(name, _Found())
        if parent:
            entry.via.add(parent)
        fresh = requirement.extras - entry.extras
        if known and not fresh:
            continue
        entry.extras |= requirement.extras
        waiting += [(needed, name) for needed in _needed(distribution, entry.extras)]
    return found


def _needed(distribution: importlib.metadata.Distribution, extras: set[str]) -> list[Requirement]:
    return [
        requirement
        for requirement in map(_requirement, distribution.requires or ())
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""})
    ]


def _installed(name: str) -> importlib.metadata.Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pin(name: str, found: _Found, *, is_bundled: bool) -> Pin:
    """The version that is here; of one with a local suffix (`2.3.0+cpu`) an index has the part before it.

    `==2.3.0` takes `2.3.0+cpu` as well, where the index has that.
    """
    distribution = importlib.metadata.distribution(name)
    version = distribution.version
    public = version if is_bundled else version.partition("+")[0]
    here = version if public != version else ""
    return Pin(name, f"{distribution.metadata['Name']}=={public}", tuple(sorted(found.via)), here)


def versions_of(modules: Iterable[str]) -> dict[str, str]:
    """The versions of the distributions that the modules belong to.

    >>> list(versions_of(["yaml", "json"]))
    ['pyyaml']
    """
    names = {name for module in modules if (name := distribution_of(module)) is not None}
    return {name: importlib.metadata.version(name) for name in sorted(names)}
