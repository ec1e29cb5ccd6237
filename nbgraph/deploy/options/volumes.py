"""Volumes: folders of a machine, or of Docker's own, that the containers of a function find among their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from nbgraph.contract import PROMISED_FOLDER, SECRETS_FOLDER
from nbgraph.errors import DeployError

# What stands in an image already, or is not a disk.
TAKEN = ("/graph", "/packages", "/runtime", "/tmp", "/proc", "/sys", "/dev", PROMISED_FOLDER, SECRETS_FOLDER)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
READ_ONLY, WRITABLE = ":ro", ":rw"


@dataclass(frozen=True, slots=True)
class Volume:
    """`source`: a folder of the host, or the name of a volume that the target keeps; `path`: where it is found.

    >>> Volume.of("models", "/models:ro", "volumes")
    Volume(source='models', path='/models', is_read_only=True)
    """

    source: str
    path: str
    is_read_only: bool = False

    @classmethod
    def of(cls, source: Any, target: Any, where: str) -> Volume:
        """What a person wrote: a folder or a name, and the place with ":ro" where nothing may be written there."""
        if not isinstance(target, str):
            raise DeployError(f'{where}: {source!r} leads to {target!r}; expected a path such as "/models:ro".')
        is_read_only = target.endswith(READ_ONLY)
        path = target.removesuffix(READ_ONLY) if is_read_only else target.removesuffix(WRITABLE)
        return cls(_source(source, where), _path(path, source, where), is_read_only)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of the host."""
        return self.source.startswith("/")

    @property
    def kind(self) -> Literal["bind", "volume"]:
        """In Docker's words; a folder that is to be bound has to be there."""
        return "bind" if self.is_folder else "volume"

    @property
    def key(self) -> str:
        """What it is called in a file of services; Docker knows it by its own name, as `deploy` does."""
        return f"own-{self.source}" if self.source in ("data", "promised") else self.source

    def __str__(self) -> str:
        return f"{self.source}:{self.path}{READ_ONLY if self.is_read_only else ''}"


def volumes_of(given: Mapping[str, Any], where: str) -> tuple[Volume, ...]:
    """All volumes of a function; two can't lie at one place."""
    found = tuple(Volume.of(source, target, where) for source, target in given.items())
    for number, one in enumerate(found):
        if any(one.path == other.path for other in found[:number]):
            raise DeployError(f"{where}: two volumes lead to {one.path}; give each a place of its own.")
    return found


def _source(source: Any, where: str) -> str:
    text = str(source)
    if text.startswith("/"):
        if ".." in PurePosixPath(text).parts or ":" in text or not text.isprintable():
            raise DeployError(f"{where}: {text!r} is no path that a container can be given; write it without .. and :.")
        return str(PurePosixPath(text))
    if text.startswith((".", "~")):
        raise DeployError(f"{where}: {text!r} depends on where it is read; write the whole path, from / on.")
    if not _NAME.fullmatch(text):
        raise DeployError(
            f'{where}: {text!r} is neither a path from / on nor the name of a volume; expected "/data/models" or '
            '"models".'
        )
    return text


def _path(path: str, source: Any, where: str) -> str:
    place = PurePosixPath(path)
    is_path = path.startswith("/") and ".." not in place.parts and ":" not in path and path.isprintable()
    if not is_path or str(place) in ("/", "//"):
        raise DeployError(f'{where}: {source!r} leads to {path!r}; expected a path in the container, "/models:ro".')
    for taken in TAKEN:
        if place == PurePosixPath(taken) or PurePosixPath(taken) in place.parents:
            raise DeployError(
                f"{where}: {source!r} leads to {path}, but {taken} is the container's own; choose another."
            )
    return str(place)
