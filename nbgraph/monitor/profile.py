"""Profile: the counts of an edge over a window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from nbgraph.errors import NbgraphError
from nbgraph.graph.finding import meant
from nbgraph.monitor.statistics.field_profile import FieldProfile

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Profile(Mapping[str, FieldProfile]):
    """The fields of what went along an edge, by their names or paths; profiles in the same bins add up.

    >>> profile = Profile("clean -> score", {"amount": FieldProfile.of([1.0, 2.0])}, events=2)
    >>> profile["amount"].mean, (profile + profile).events
    (1.5, 4)

    Parameters
    ----------
    edge
        `"clean -> score"`; `"-> clean"` where events enter, `"score ->"` where they leave.
    fields
        What was counted.
    events
        How many events were looked at.
    passed
        How many went along, where not all were looked at.
    start, end
        The window, in seconds since 1970; in events where it was counted by events.
    new
        Fields that the baseline does not have, and in how many events.
    """

    edge: str
    fields: Mapping[str, FieldProfile]
    events: int = 0
    passed: int = 0
    start: float = 0.0
    end: float = 0.0
    new: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> FieldProfile:
        try:
            return self.fields[name]
        except KeyError:
            message = f'"{name}" is no field of "{self.edge}".{meant(name, self.fields)}'
            raise KeyError(f"{message} Fields: {', '.join(self.fields)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __add__(self, other: Self) -> Profile:
        if self.edge != other.edge:
            raise NbgraphError(f'Profiles of "{self.edge}" and of "{other.edge}" do not add up: they are two edges.')
        names = dict.fromkeys([*self.fields, *other.fields])
        return Profile(
            self.edge,
            {name: _together(self.fields.get(name), other.fields.get(name)) for name in names},
            self.events + other.events,
            self.passed + other.passed,
            min(self.start, other.start),
            max(self.end, other.end),
            dict(sorted((Counter(self.new) + Counter(other.new)).items())),
        )

    def to_frame(self) -> pd.DataFrame:
        """A row a field: count, missing, kind, low, mean, sd, median, high, distinct."""
        import pandas as pd

        rows = [
            {
                "field": name,
                "count": one.count,
                "missing": one.missing,
                "kind": one.bins.kind.value,
                "low": one.low,
                "mean": one.mean,
                "sd": one.sd,
                "median": one.quantile(0.5),
                "high": one.high,
                "distinct": one.distinct,
            }
            for name, one in self.fields.items()
        ]
        return pd.DataFrame(rows)


def _together(first: FieldProfile | None, second: FieldProfile | None) -> FieldProfile:
    if first is None or second is None:
        found = first or second
        assert found is not None
        return found
    return first + second
