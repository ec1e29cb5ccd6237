"""SetTarget: the answers of all parts of a job go into a feature set, in one commit, when the last of them is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbgraph.jobs.sources.spill import spilled

if TYPE_CHECKING:
    from nbgraph.failure import Failure
    from nbgraph.features.set import FeatureSet
    from nbgraph.jobs.folder import JobFolder
    from nbgraph.jobs.part import PartRecord
    from nbgraph.jobs.scheduler import Progress


@dataclass(frozen=True)
class SetTarget:
    """The set; `identity` tells whether the rows came before, `source` where from, `folder` is where the job works."""

    set: FeatureSet
    identity: str
    source: str
    folder: Path
    online: bool = True

    def take(self, place: JobFolder, progress: Progress, check: Callable[[], None]) -> None:
        """Commit what the parts have; answers that do not fit are failures of their parts, which `check` counts."""
        store = self.set.store
        with store.writing(self.set):
            self._commit(place, progress, check)
            if self.online:
                store.advance(self.set)
        forget(place, progress)

    def _commit(self, place: JobFolder, progress: Progress, check: Callable[[], None]) -> None:
        from nbgraph.features.ingest import Produced, write

        if self.set.offline.find(self.identity) is None:
            answers = PartAnswers(place, progress)

            def told(failures: list[Failure]) -> None:
                answers.bury(failures, self.set)
                check()

            produced = Produced(None, answers.bodies, self.source)
            write(self.set, produced, self.identity, progress.rows, self.online, on_error="skip", before=told)


class PartAnswers:
    """The answers of all parts, in their order."""

    def __init__(self, place: JobFolder, progress: Progress) -> None:
        self._place, self._progress = place, progress
        self._parts: list[tuple[int, PartRecord, int]] = []  # where its answers begin, the part, how many they are
        self.bodies: list[Any] = []
        for _, record in sorted(progress.records.items()):
            begin = len(self.bodies)
            self.bodies += spilled(place.path / record.file)
            self._parts.append((begin, record, len(self.bodies) - begin))

    def bury(self, failures: Sequence[Failure], set: FeatureSet) -> None:
        """Keep those that do not fit as failures of their parts; those of an earlier try are replaced."""
        from nbgraph.graph.graph import Graph
        from nbgraph.jobs.dead_letter import amend

        graph = set.graph or Graph(set.name)
        found: defaultdict[int, list[Failure]] = defaultdict(list)
        starts = [begin for begin, _, _ in self._parts]
        for failure in failures:
            found[max(at for at, begin in enumerate(starts) if begin <= failure.row)].append(failure)
        for at, (_, record, number) in enumerate(self._parts):
            counted = amend(self._place, record.number, set.name, found[at], graph)
            record.written, record.failed = number - len(found[at]), counted.total()
            record.errors = dict(counted)
            self._place.keep(record)
        self._progress.recount()


def forget(place: JobFolder, progress: Progress) -> None:
    """Remove the files of rows that are in the set; their parts stay done."""
    for record in progress.records.values():
        if record.file:
            path = place.path / record.file
            record.file, record.size = "", 0
            place.keep(record)
            path.unlink(missing_ok=True)
