"""Announced: definitions beside the online rows, for whoever serves where the store's folder is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from nbgraph.errors import FeatureError
from nbgraph.features.catalogue import Catalogue, FeatureDefinition
from nbgraph.features.online.record import Advance, KeyMetadata, OnlineStore

PLACE = "$definitions"  # no set has such a name
TRIES = 40


def announce(online: OnlineStore, definition: FeatureDefinition) -> None:
    """Keep a definition where the online rows are, by name and version, and by name alone if it is the newest."""
    stored = json.dumps([definition.kind, definition.name, definition.version, definition.document]).encode()
    for _ in range(TRIES):
        was = online.about(PLACE)
        newest = _read(online, definition.name)
        records = {f"{definition.name}@{definition.version}": stored}
        if newest is None or newest.version <= definition.version:
            records[definition.name] = stored
        if online.advance(PLACE, was, Advance(KeyMetadata(1 if was is None else was.version + 1, 0, {}), records)):
            return
    raise FeatureError(f'"{definition.name}" could not be written where the online rows are: others write there too.')


def _read(online: OnlineStore, key: str) -> FeatureDefinition | None:
    found = online.read(PLACE, [key])[0][0]
    return None if found is None else FeatureDefinition(*json.loads(found))


class Announced(Catalogue):
    """What was announced; it can only be read, a definition at a time."""

    def __init__(self, path: Path, online: Callable[[], OnlineStore]) -> None:
        self.path, self._online = path, online

    def find(self, name: str, version: int | None = None) -> FeatureDefinition | None:
        return _read(self._online(), name if version is None else f"{name}@{version}")

    def all(self) -> list[FeatureDefinition]:
        return []

    def statistics(self, name: str, version: int) -> Any:
        return None

    @contextmanager
    def changing(self) -> Iterator[NoReturn]:
        raise FeatureError(f"The folder {self.path.parent} of the feature store is not here; only its online rows are.")
        yield  # pragma: no cover
