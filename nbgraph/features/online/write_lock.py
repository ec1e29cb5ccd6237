"""WriteLock: held until rows are online too; a reader that gets it puts online what a killed writer left."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nbgraph.errors import FeatureError

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet
    from nbgraph.features.store import FeatureStore


class WriteLock:
    """For sets whose rows are in a folder.

    A writer holds a lock until the rows that it wrote are online; the system takes it from who dies. So a reader that
    sees a version which is not online, and gets the lock, knows that nobody is at it. It looks for the file of the
    next version, which costs next to nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._awaited: dict[str, str] = {}  # by set: the file of the first version that was not looked at

    @contextmanager
    def writing(self, set: FeatureSet) -> Iterator[None]:
        """Rows are written, and then put online."""
        path = self._lock(set)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
        except OSError as error:
            place = path.parent / str(set.version)
            told = f'The set "{set.name}" can\'t be written at {place}'
            raise FeatureError(f"{told}: {error}. It is as it was.") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def check(self, set: FeatureSet, store: FeatureStore) -> None:
        """Put online what somebody left who was killed."""
        awaited = self._awaited.get(set.id)
        if awaited is None or os.path.exists(awaited):
            self._look(set, store)

    def _look(self, set: FeatureSet, store: FeatureStore) -> None:
        online = store.online_version(set)
        known = newest = -1 if online is None else online
        while self._log(set, newest + 1).exists():
            newest += 1
        if newest > known:
            if not self._is_free(set):
                return  # whoever writes puts it online as well
            if _is_meant(set, known):
                store.advance(set)
        self._awaited[set.id] = str(self._log(set, newest + 1))

    def _log(self, set: FeatureSet, version: int) -> Path:
        return self._folder / "sets" / set.name / str(set.version) / "_delta_log" / f"{version:020}.json"

    def _lock(self, set: FeatureSet) -> Path:
        return self._folder / "sets" / set.name / f"{set.version}.lock"

    def _is_free(self, set: FeatureSet) -> bool:
        try:
            with self._lock(set).open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # somebody has it, or the folder is only read
            return False
        return True


def _is_meant(set: FeatureSet, known: int) -> bool:
    """Whether any version behind one was to be online: `ingest(online=False)` was not."""
    try:
        history = set.offline.history()
    except ImportError:  # an image that only serves has no deltalake
        return False
    return any(
        each["version"] > known and each.get("online", True) and each.get("action") in ("ingest", "delete")
        for each in history
    )
