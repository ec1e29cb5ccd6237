"""Report: how each step of an MLRun spec was translated, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nbgraph.errors import GraphError


@dataclass(frozen=True, slots=True)
class Translated:
    """One step: its path in the spec, the class there, its translation, and what differs."""

    path: str
    theirs: str
    ours: str
    differs: str = ""

    def __str__(self) -> str:
        became = self.ours if self.ours != self.theirs.rpartition(".")[2] else "the same"
        return f"{self.path}: {self.theirs} -> {became}{self.differs and '; ' + self.differs}"


@dataclass(frozen=True, slots=True)
class Report:
    """The translated steps, and one sentence for each place that could not be translated.

    >>> print(Report([Translated("steps.a", "storey.Filter", "Filter")], ["steps.b: has no counterpart."]))
    steps.a: storey.Filter -> the same
    Not translated:
    steps.b: has no counterpart.
    """

    steps: Sequence[Translated]
    missing: Sequence[str] = ()

    def __str__(self) -> str:
        return "\n".join([*map(str, self.steps), *(["Not translated:", *self.missing] if self.missing else [])])

    __repr__ = __str__

    def refuse(self) -> None:
        """Raise what could not be translated, all of it."""
        if len(self.missing) == 1:
            raise GraphError(self.missing[0])
        if self.missing:
            lines = "\n  ".join(self.missing)
            raise GraphError(f"The spec has {len(self.missing)} places that can't be translated:\n  {lines}")
