"""Rules: what must not be in a window; where one holds, there is an alert.

A rule is plain data, a part of the graph's spec. A share has to be beyond its limit by more than chance (four
deviations), so that a limit of one in a hundred rings on faults and not on luck.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

from nbgraph.errors import GraphError
from nbgraph.graph.finding import meant
from nbgraph.monitor.counting.expression import names_in, value_of
from nbgraph.monitor.profile import Profile
from nbgraph.monitor.statistics.bins import FieldKind
from nbgraph.monitor.statistics.field_profile import FieldProfile
from nbgraph.monitor.statistics.limit import FLOOR, IN_A_ROW, LEAST_EVENTS, Verdict
from nbgraph.steps.windows.spec import duration

DEVIATIONS = 4  # by which a share is beyond its limit
MEASURES = {  # what the expression of a rule may name
    "event_rate": "events that enter, a second",
    "error_rate": "share of the calls of all steps that raise",
    "latency_p95": "seconds that 95 % of the calls of a step do not take longer than, of the slowest step",
    "backlog": "events that wait in the fullest queue",
}
NAMED = 3  # unseen classes, in a text


class Breach(NamedTuple):
    """What a rule found: the value, the limit it is beyond, and a sentence."""

    value: float
    limit: float
    text: str


class FieldWindow(NamedTuple):
    """A field of an edge in a window, beside its baseline; `verdict` is None where there are too few values."""

    edge: str
    field: str
    now: FieldProfile
    base: FieldProfile
    verdict: Verdict | None


class StepWindow(NamedTuple):
    """A step in a window: its calls, how many raised, how long the slowest 5 % took at least."""

    step: str
    start: float
    calls: int
    errors: int
    p95: float


@dataclass(frozen=True, slots=True)
class AlertRule:
    """What rules have in common: each looks at what it is about, and finds nothing in all else."""

    name: ClassVar[str] = ""
    has_steps: ClassVar[bool] = False  # whether it looks at steps
    has_labels: ClassVar[bool] = False  # whether it looks at predictions that have labels
    is_measured: ClassVar[bool] = False  # whether it looks at the graph as a whole, by the clock
    in_a_row: ClassVar[int] = 1  # windows until it fires

    @property
    def about(self) -> str:
        """What of the whole graph it looks at."""
        return ""

    @property
    def span(self) -> float:
        """The seconds over which it takes measures of the whole graph; 0 for one that does not."""
        return 0.0

    def of_field(self, window: FieldWindow) -> Breach | None:
        """What is wrong with a field."""
        return None

    def of_edge(self, now: Profile, base: Profile) -> Mapping[str, Breach]:
        """What is wrong with an edge, by the field."""
        return {}

    def of_step(self, window: StepWindow) -> Breach | None:
        """What is wrong with a step."""
        return None

    def of_queue(self, queue: str, waiting: int) -> Breach | None:
        """What is wrong with a queue in which so many events wait."""
        return None

    def of_quality(self, numbers: Mapping[str, float]) -> Breach | None:
        """What is wrong with the predictions."""
        return None

    def of_measures(self, measures: Mapping[str, float]) -> Breach | None:
        """What is wrong with the graph as a whole."""
        return None


@dataclass(frozen=True, slots=True)
class Drift(AlertRule):
    """The values of a field are distributed in another way than in the baseline, in two windows in a row.

    Parameters
    ----------
    limit
        The Jensen–Shannon distance that nobody minds, also where the baseline's own windows are closer together.
    """

    limit: float = FLOOR
    name: ClassVar[str] = "drift"
    in_a_row: ClassVar[int] = IN_A_ROW

    def of_field(self, window: FieldWindow) -> Breach | None:
        verdict = window.verdict
        if verdict is None or not verdict.drifted or verdict.distance <= self.limit:
            return None
        text = f'"{window.field}" at "{window.edge}" has drifted: distance {verdict.distance:.3f}'
        return Breach(verdict.distance, verdict.limit, f"{text}, limit {verdict.limit:.3f}{_named(window.now)}")


@dataclass(frozen=True, slots=True)
class Missing(AlertRule):
    """More events without a value than in the baseline.

    Parameters
    ----------
    limit
        The share by which there may be more.
    """

    limit: float = 0.05
    name: ClassVar[str] = "missing"

    def of_field(self, window: FieldWindow) -> Breach | None:
        most = min(window.base.missing_share + self.limit, 1.0)
        return _share(window, "has no value", window.now.missing_share, most, window.now.count)


@dataclass(frozen=True, slots=True)
class Unseen(AlertRule):
    """Classes that the baseline does not have.

    Parameters
    ----------
    limit
        The share of the values that may be of such a class.
    """

    limit: float = 0.01
    name: ClassVar[str] = "unseen"

    def of_field(self, window: FieldWindow) -> Breach | None:
        values = window.now.count - window.now.missing
        found = _share(window, "is of an unseen class", window.now.unseen_share, self.limit, values)
        return found and found._replace(text=f"{found.text}{_named(window.now)}")


@dataclass(frozen=True, slots=True)
class Range(AlertRule):
    """Numbers below the least or above the greatest of the baseline.

    Parameters
    ----------
    limit
        The share of the numbers that may be.
    """

    limit: float = 0.01
    name: ClassVar[str] = "range"

    def of_field(self, window: FieldWindow) -> Breach | None:
        numbers = window.now.counts.numbers + window.now.counts.infinite
        outside = f"is outside of {window.base.low} to {window.base.high}"
        return _share(window, outside, window.now.outside_share, self.limit, numbers)


@dataclass(frozen=True, slots=True)
class Types(AlertRule):
    """Values of types that the baseline does not have.

    Parameters
    ----------
    limit
        The share of the values that may be of such a type.
    """

    limit: float = 0.01
    name: ClassVar[str] = "types"

    def of_field(self, window: FieldWindow) -> Breach | None:
        known = _families(window.base.types)
        values = window.now.count - window.now.missing
        new = {name: times for name, times in window.now.types.items() if _family(name) not in known}
        share = sum(new.values()) / values if values and known else 0.0
        return _share(window, f"is of another type ({', '.join(new)})", share, self.limit, values)


@dataclass(frozen=True, slots=True)
class Fields(AlertRule):
    """Fields that the baseline does not have, and fields of it that no event has any more.

    Parameters
    ----------
    limit
        The share of the events that may have a new field.
    """

    limit: float = 0.01
    name: ClassVar[str] = "fields"

    def of_edge(self, now: Profile, base: Profile) -> Mapping[str, Breach]:
        if now.events < LEAST_EVENTS:
            return {}
        shares = {name: times / now.events for name, times in now.new.items()}
        return {
            name: Breach(share, self.limit, f'"{name}" at "{now.edge}" is a new field: in {share:.1%} of the events')
            for name, share in shares.items()
            if share > self.limit
        }

    def of_field(self, window: FieldWindow) -> Breach | None:
        if window.now.count < LEAST_EVENTS or window.now.missing < window.now.count or window.base.missing_share > 0.5:
            return None
        return Breach(1.0, self.limit, f'"{window.field}" at "{window.edge}" is lost: no event has it')


@dataclass(frozen=True, slots=True)
class Constant(AlertRule):
    """A field of many values that has only one."""

    name: ClassVar[str] = "constant"

    def of_field(self, window: FieldWindow) -> Breach | None:
        now, base = window.now, window.base
        if now.count - now.missing < LEAST_EVENTS or not now.is_constant or base.is_constant:
            return None
        if base.judged().max() > 0.9 * base.judged().sum():  # hardly another value before
            return None
        only = now.low if now.bins.kind is FieldKind.NUMBER else repr(now.top[0][0])
        return Breach(1.0, 1.0, f'"{window.field}" at "{window.edge}" is constant: always {only}')


@dataclass(frozen=True, slots=True)
class Errors(AlertRule):
    """Calls of a step that raised.

    Parameters
    ----------
    limit
        The share of the calls that may.
    """

    limit: float = 0.01
    name: ClassVar[str] = "errors"
    has_steps: ClassVar[bool] = True

    def of_step(self, window: StepWindow) -> Breach | None:
        share = window.errors / window.calls if window.calls else 0.0
        if not _is_beyond(share, self.limit, window.calls):
            return None
        return Breach(share, self.limit, f'{share:.1%} of the calls of "{window.step}" raised, limit {self.limit:.1%}')


@dataclass(frozen=True, slots=True)
class Latency(AlertRule):
    """A step that takes long.

    Parameters
    ----------
    p95
        Seconds that 95 % of the calls must not take longer than.
    """

    p95: float
    name: ClassVar[str] = "latency"
    has_steps: ClassVar[bool] = True

    def of_step(self, window: StepWindow) -> Breach | None:
        if not window.calls or not window.p95 > self.p95:
            return None
        return Breach(window.p95, self.p95, f'5 % of the calls of "{window.step}" take longer than {window.p95:g} s')


@dataclass(frozen=True, slots=True)
class Backlog(AlertRule):
    """Events that wait in a queue.

    Parameters
    ----------
    limit
        How many may.
    """

    limit: float
    name: ClassVar[str] = "backlog"
    is_measured: ClassVar[bool] = True

    def of_queue(self, queue: str, waiting: int) -> Breach | None:
        if waiting <= self.limit:
            return None
        return Breach(waiting, self.limit, f'{waiting} events wait in "{queue}", limit {self.limit:g}')


@dataclass(frozen=True, slots=True)
class Quality(AlertRule):
    """A measure of the predictions, once labels are there, beyond a limit.

    Parameters
    ----------
    metric
        A column of `quality()`: `"auc"`, `"accuracy"`, `"mae"`.
    below, above
        The limit; one of both.
    """

    metric: str
    below: float | None = None
    above: float | None = None
    name: ClassVar[str] = "quality"
    has_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if (self.below is None) == (self.above is None):
            raise GraphError(f'Quality("{self.metric}") needs one limit: below=0.8, or above=0.2.')

    @property
    def about(self) -> str:
        return self.metric

    def of_quality(self, numbers: Mapping[str, float]) -> Breach | None:
        value = numbers.get(self.metric, math.nan)
        is_wrong = value < self.below if self.below is not None else value > (self.above or 0.0)
        limit = self.below if self.below is not None else self.above or 0.0
        word = "below" if self.below is not None else "above"
        return Breach(value, limit, f"{self.metric} is {value:.3f}, {word} {limit:g}") if is_wrong else None


@dataclass(frozen=True, slots=True)
class Rule(AlertRule):
    """A comparison of measures of the whole graph.

    It is asked once the graph has been watched for so long, and from then on by the clock, also where nothing comes.
    `event_rate`: events that enter, a second; `error_rate`: the share of the calls of all steps that raise;
    `latency_p95`: seconds that 95 % of the calls of a step do not take longer than, of the slowest step; `backlog`:
    events that wait in the fullest queue.

    >>> Rule("event_rate < 1", over="5m").of_measures({"event_rate": 0.5}).text
    'event_rate < 1, over 5m: event_rate is 0.5'

    Parameters
    ----------
    expression
        Names of measures, numbers, arithmetic, comparisons, `and`, `or`, `not`.
    over
        The time over which measures are taken: `"5m"`.
    """

    expression: str
    over: str = "1m"
    name: ClassVar[str] = "rule"
    is_measured: ClassVar[bool] = True
    has_steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        duration(self.over)
        names = names_in(self.expression)
        value_of(self.expression, dict.fromkeys(names, 1.0))
        for name in names:
            if name not in MEASURES:
                known = ", ".join(MEASURES)
                found = f'Rule("{self.expression}") names "{name}", which is no measure.{meant(name, MEASURES)}'
                raise GraphError(f"{found} Measures: {known}.")

    @property
    def about(self) -> str:
        return self.expression

    @property
    def span(self) -> float:
        return float(duration(self.over))

    def of_measures(self, measures: Mapping[str, float]) -> Breach | None:
        names = names_in(self.expression)
        if any(name not in measures or math.isnan(measures[name]) for name in names):
            return None
        if not value_of(self.expression, measures):
            return None
        said = ", ".join(f"{name} is {measures[name]:g}" for name in names)
        first = measures[names[0]] if names else math.nan
        return Breach(first, math.nan, f"{self.expression}, over {self.over}: {said}")


KINDS: dict[str, type[AlertRule]] = {
    kind.name: kind
    for kind in (Drift, Missing, Unseen, Range, Types, Fields, Constant, Errors, Latency, Backlog, Quality, Rule)
}


def to_plain(rule: AlertRule) -> dict[str, Any]:
    """The rule as plain data.

    >>> to_plain(Missing(0.1))
    {'rule': 'missing', 'limit': 0.1}
    """
    return {"rule": rule.name} | {name: value for name, value in asdict(rule).items() if value is not None}


def from_plain(document: Mapping[str, Any]) -> AlertRule:
    """The rule that `to_plain` told."""
    kind = KINDS.get(str(document.get("rule")))
    if kind is None:
        raise GraphError(f"There is no rule {document.get('rule')!r}; known rules: {', '.join(KINDS)}.")
    try:
        return kind(**{name: value for name, value in document.items() if name != "rule"})
    except TypeError as error:
        raise GraphError(f'The rule "{kind.name}" can\'t be read: {error}.') from None


def _share(window: FieldWindow, what: str, share: float, limit: float, count: int) -> Breach | None:
    if count < LEAST_EVENTS or not _is_beyond(share, limit, count):
        return None
    text = f'"{window.field}" at "{window.edge}" {what} in {share:.1%} of the events, limit {limit:.1%}'
    return Breach(share, limit, text)


def _is_beyond(share: float, limit: float, count: int) -> bool:
    if not count:
        return False
    return share > limit + DEVIATIONS * math.sqrt(limit * (1 - limit) / count)


def _named(now: FieldProfile) -> str:
    names = [name for name, _ in now.top if name in now.counts.unseen][:NAMED]
    return f"; unseen: {', '.join(map(repr, names))}" if names else ""


_NUMBERS = frozenset({"int", "float", "Decimal", "float64", "float32", "int64", "int32"})
_ABSENT = frozenset({"NoneType", "NaTType", "NAType"})


def _family(name: str) -> str:
    """An int in the place of a float is no other type."""
    return "number" if name in _NUMBERS else "missing" if name in _ABSENT else name


def _families(types: Mapping[str, int]) -> set[str]:
    return {_family(name) for name in types} | {"missing"} if types else set()
