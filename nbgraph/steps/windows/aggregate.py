"""AggregateByKey: sums, means and extremes of each key over windows of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.context import StepContext, clock_of
from nbgraph.steps.dataframe import in_pandas, is_frame, is_polars, of_rows, rows_of, with_columns
from nbgraph.steps.operators.stateless import BODY
from nbgraph.steps.tables.table import table_of
from nbgraph.steps.windows.codegen import Part, WindowCode, field_name, missing_field, reader
from nbgraph.steps.windows.emit import EmitPolicy, EveryEvent, WindowEmitter, emitter_of, policy_of
from nbgraph.steps.windows.series import Series, series_of
from nbgraph.steps.windows.spec import FieldAggregator, duration, time_like
from nbgraph.steps.windows.store import WindowStore, description_of
from nbgraph.types import Clock, Section, Shape
from nbgraph.values import normal_key, seconds_of

__all__ = ["AggregateByKey"]

FEW_KEYS = 64  # up to so many are kept without checking whether they have expired


class AggregateByKey(Handler):
    """Aggregate fields over windows of time, for each key; the values are added to the body.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import AggregateByKey, FieldAggregator, SlidingWindows
    >>> paid = FieldAggregator("paid", "amount", ["sum", "count"], SlidingWindows(["1h"], "10m"))
    >>> graph = Graph("g")
    >>> _ = graph.to(AggregateByKey([paid], key="card", time_field="time"))
    >>> for answer in graph.stream([
    ...     {"card": 7, "time": "2026-01-01T10:00", "amount": 5},
    ...     {"card": 7, "time": "2026-01-01T10:59", "amount": 6},
    ...     {"card": 7, "time": "2026-01-01T11:00", "amount": 8},
    ... ]):
    ...     print(answer["paid_sum_1h"], answer["paid_count_1h"])
    5 1
    11 2
    14 2

    What exactly is counted, for an event of time t:

    - Of a sliding window of n periods: the period that t falls into (periods begin at multiples of their length since
      1970-01-01 UTC) and the n - 1 before it. Of a fixed window: the window that t falls into.
    - All events of the same key that have come so far, this one included, whatever order they came in. What comes
      later, with an earlier time, does not change what went on before.
    - The value goes by the event's own time: a late event gets the windows that end with its own period. An event that
      is more than `lateness` ("2h"; without it, the longest window) behind the newest of its key, in whole periods,
      is not counted anywhere, and goes on with the values of empty windows.
    - Missing values (None, NaN) and events that `aggr_filter` refuses are not counted. Over nothing, count, sum and
      sqr are 0 and the other operations NaN, as in pandas. sqr is the sum of squares; stdvar and stddev are those of
      a sample (n - 1), NaN for one value. first and last go by event time; of equal times, by arrival.
    - Numbers of any kind add up: Decimals with whole numbers to Decimals, Decimals with floats to a float.
    - A column takes the place of a field of its name, so that what went through once may go through again.
    - A time is a datetime (without a time zone it is UTC), an ISO 8601 text, or a number of seconds since 1970.

    Without `key` events are grouped by their own key, without `time_field` they are put where their own time is. Both
    may be functions of the body, `key` also a list of fields. A whole DataFrame as a body is taken as its rows, in
    their order, and becomes the frame with the columns added. `emit_policy` tells when values go on: EveryEvent,
    AfterMaxEvent, AfterPeriod, AfterWindow, AfterDelay. With a `table` each key's windows are written there too, at
    every event, where a restarted step and QueryByKey find them.

    With `expire` ("7d") a key whose last event is longer ago than that, by the newest time of all events, is forgotten:
    what comes of it then is its first. So memory holds the keys of that time, and hardly more than twice as many; rows
    of a table stay there. Without it, the windows of a key that never comes again are kept for good.

    `time_format` is how a time that is text is written ("%d/%m/%Y %H:%M"). `enrich_with` adds fields of the key's row
    in the table; `aliases` ({"paid_sum_1h": "spent"}) gives columns, and these fields, other names.

    Parameters
    ----------
    aggregates
        FieldAggregators: what is counted over which windows.
    key
        Field, list of fields, or function of the body; None: the event's key.
    time_field
        Field, or function of the body; None: the event's time.
    emit_policy
        When values go on; EveryEvent if not said.
    table
        Table in which each key's windows are kept.
    lateness
        How late an event may come and still be counted: `"2h"`; None: the longest window.
    expire
        Age after which a key is forgotten: `"7d"`; None: never.
    time_format
        How a time that is text is written, as for `datetime.strptime`; else ISO 8601.
    enrich_with
        Fields of the key's row in the table that are added.
    aliases
        Other names for added fields, by their own.
    """

    section = Section.WINDOWS
    counterpart = Counterpart(
        "AggregateByKey",
        renamed={"key_field": "key"},
        unused={"use_windows_from_schema": (False,)},
        keys=("key_field", "time_field"),
        note="sums over nothing are 0 and not NaN, sliding windows move on to the event's own time where it lacks the "
        "field, and a too late event has the values of empty windows in its columns",
    )
    expressions: ClassVar = {"aggregates.aggregation_filter": BODY}

    do: Callable[[Any], Any]

    def __init__(
        self,
        aggregates: Sequence[FieldAggregator | Mapping[str, Any]],
        key: Part = None,
        time_field: str | Callable[[Any], Any] | None = None,
        emit_policy: EmitPolicy | Mapping[str, Any] | None = None,
        *,
        table: Any = None,
        lateness: str | None = None,
        expire: str | None = None,
        time_format: str | None = None,
        enrich_with: Sequence[str] | None = None,
        aliases: Mapping[str, str] | None = None,
        context: StepContext | None = None,
    ) -> None:
        self.aggregators = _checked(aggregates)
        self._key, self._time_field, self._time_format = key, time_field, time_format
        policy = policy_of(emit_policy)
        delay = getattr(policy, "delay_in_seconds", 0)
        late = None if lateness is None else duration(lateness)
        self.layouts = series_of(self.aggregators, late, delay)
        self._read_key, self._read_time = reader(key), reader(time_field)
        self._code = WindowCode(self.aggregators, self.layouts)
        self.state_form = self._description = description_of(self.aggregators, late, delay)
        self._store = None if table is None else WindowStore(table_of(table), self.layouts, self._code)
        self._table = None if table is None else table_of(table)
        self._enrich_with, self._aliases = self._checked_names(enrich_with, aliases)
        self.state: dict[str, Any] = {"keys": {}, "held": {}}  # key -> its series; what the policy keeps back
        self._expire = None if expire is None else self._checked_expire(expire)
        self._full = FEW_KEYS  # with so many keys the expired ones are looked for
        if self.is_forgetful:
            self.state["newest"] = -math.inf
        self._emitter: WindowEmitter | None = None
        if not isinstance(policy, EveryEvent):
            self._hold_by(policy, clock_of(context))
        elif key is not None and time_field is not None and table is None and not self._aliases:
            self.do = self._code.do(self, key, time_field, time_format)
        else:
            self.shape, self.do = Shape.EVENT, self._on_event

    def _checked_names(
        self, enrich_with: Sequence[str] | None, aliases: Mapping[str, str] | None
    ) -> tuple[list[str], dict[str, str]]:
        fields = [enrich_with] if isinstance(enrich_with, str) else list(enrich_with or ())
        if fields and self._table is None:
            raise GraphError(f"AggregateByKey got enrich_with={fields!r} and no table to take them from; name a table.")
        names, given = [*self._columns, *fields], dict(aliases or {})
        for name in given:
            if name not in names:
                raise GraphError(f'AggregateByKey got an alias of "{name}" and adds only: {", ".join(names)}.')
        written = [given.get(name, name) for name in names]
        for name in written:
            if written.count(name) > 1:
                raise GraphError(f'AggregateByKey would write "{name}" twice; give one of them another alias.')
        return fields, given

    def _checked_expire(self, expire: str) -> int:
        longest = max((window for each in self.aggregators for window in each.windows.windows), key=duration)
        if duration(expire) < duration(longest):
            raise GraphError(f'AggregateByKey got expire="{expire}"; its windows of "{longest}" need at least that.')
        return duration(expire)

    def _hold_by(self, policy: EmitPolicy, clock: Clock) -> None:
        by_arrival = self._time_field is None
        self._emitter = held = emitter_of(policy, self, self.aggregators, clock, by_arrival=by_arrival)
        self.shape, self.do = Shape.EVENTS, self._on_held_event
        self.release, self.overdue, self.due = held.release, held.overdue, held.due  # type: ignore[method-assign]  # the emitter's own

    def post_init(self) -> None:
        if self._store is not None:
            self._store.describe(self._description)

    @cached_property
    def update(self) -> Callable[[Any, float, Any], dict[str, Any]]:
        """`update(key, time, body)`: take an event into its windows, give its columns."""
        return self._code.update(self)

    @cached_property
    def _columns(self) -> list[str]:
        return [column for each in self.aggregators for column in each.columns()]

    @property
    def rebuilders(self) -> list[Callable[[list[Any]], Any]]:
        return self._code.rebuilders

    # --- events ---

    def _on_event(self, event: Event) -> None:
        if is_frame(event.body):
            event.body = self._on_frame(event.body, event)
        else:
            event.body = self._with_columns(event, *self._place(event))

    def _on_held_event(self, event: Event) -> list[Event]:
        if is_frame(event.body):
            return self._held_frame(event)
        assert self._emitter is not None
        key, seconds, time = self._place(event)
        ended = self._emitter.before(seconds, time)
        event.body = self._with_columns(event, key, seconds, time)
        return [*ended, *self._emitter.after(key, event)]

    def _place(self, event: Event) -> tuple[Any, float, Any]:
        """The event's key and its time, in seconds and as it was given."""
        try:
            key = event.key if self._read_key is None else self._read_key(event.body)
            time = event.time if self._read_time is None else self._read_time(event.body)
        except (KeyError, TypeError) as error:
            raise self.missing(error, event.body) from error
        return normal_key(key), seconds_of(time, field_name(self._time_field), self._time_format), time

    def _with_columns(self, event: Event, key: Any, seconds: float, time: Any) -> dict[str, Any]:
        columns = self.update(key, seconds, event.body)
        if self._store is not None:
            self._store.keep(key, self.state["keys"][key])
        return {**event.body, **self._renamed_columns(key, columns)}

    def _renamed_columns(self, key: Any, columns: dict[str, Any]) -> dict[str, Any]:
        """The columns with the fields of the table's row beside them, under the names that are wanted."""
        return self._renamed(self._enriched(key, columns))

    def _enriched(self, key: Any, columns: dict[str, Any]) -> dict[str, Any]:
        if not self._enrich_with or self._table is None:
            return columns
        row = self._table.get(key) or {}
        return {**columns, **{name: row[name] for name in self._enrich_with if name in row}}

    def _renamed(self, columns: dict[str, Any]) -> dict[str, Any]:
        aliases = self._aliases
        return {aliases.get(name, name): value for name, value in columns.items()} if aliases else columns

    def ended(self, seconds: float, time: Any) -> Iterator[Event]:
        """An event for each key that has something in its windows as they end at a time; the time is given alike."""
        at = time_like(seconds, time, self._time_format)
        just_before = seconds - 0.5  # periods are whole seconds: this is in the last one
        for key, series in dict.items(self.state["keys"]):  # see Batch._late
            if any(map(Series.has_any, self.layouts, series, [just_before] * len(series))):
                place = {**_named("key", self._key, key), **_named("time", self._time_field, at)}
                columns = self._code.columns_at(series, just_before)
                yield Event(
                    {**place, **self._renamed_columns(key, columns)}, key=key, time=datetime.fromtimestamp(seconds, UTC)
                )

    # --- frames ---

    def _on_frame(self, frame: Any, event: Event | None) -> Any:
        if is_polars(frame):
            answer = self._on_frame(in_pandas(frame), event)
            made = [self._aliases.get(name, name) for name in (*self._columns, *self._enrich_with)]
            return with_columns(frame, answer, [name for name in made if name in answer])
        from nbgraph.steps.windows import frame as windows_frame
        from nbgraph.steps.windows.frame import keys_of, times_of

        own = event.time if event and self._time_field is None else None
        try:
            keys = keys_of(self._key, frame, event.key if event else None)
            times = times_of(self._time_field, frame, own, self._time_format)
        except KeyError as error:
            raise self.missing(error, frame) from error
        answer = windows_frame.with_columns(self, frame, keys, times)
        if self._store is not None:
            self._store.keep_all({key: self.state["keys"][key] for key in dict.fromkeys(map(normal_key, keys))})
        if self._aliases or self._enrich_with:
            fields = [self._renamed(self._enriched(normal_key(key), {})) for key in keys]
            added: dict[str, Any] = self._renamed({name: answer[name] for name in self._columns})
            added |= {
                name: [row.get(name) for row in fields] for name in dict.fromkeys(n for row in fields for n in row)
            }
            answer = frame.assign(**added)
        return answer

    def _held_frame(self, event: Event) -> list[Event]:
        """A frame under a policy: what its rows emit, as a frame."""
        rows = (event.with_body(row) for row in rows_of(event.body))
        emitted = [each.body for row in rows for each in self._on_held_event(row)]
        return [event.with_body(of_rows(emitted, event.body))] if emitted else []

    # --- what the generated functions call in the rarer cases ---

    def new(self, key: Any) -> list[list[Any]]:
        """The series of a key that has not been seen yet; the table may know it from before."""
        if self.is_forgetful and len(self.state["keys"]) >= self._full:
            self._forget()
        known = None if self._store is None else self._store.load(key)
        return known or [layout.new() for layout in self.layouts]

    @property
    def is_forgetful(self) -> bool:
        """Whether keys are forgotten whose last event is long ago."""
        return self._expire is not None

    def living(self, key: Any, series: list[list[Any]], time: float) -> list[list[Any]]:
        """The series of a key; empty ones in their place where its last event is longer ago than `expire`."""
        if self.state["newest"] < time < math.inf:
            self.state["newest"] = time
        if not self._is_expired(series):
            return series
        self.state["keys"][key] = [layout.new() for layout in self.layouts]
        return self.state["keys"][key]  # type: ignore[no-any-return]  # plain data, at each event

    def _is_expired(self, series: Sequence[list[Any]]) -> bool:
        end = (series[0][0] + 1) * self.layouts[0].spans.period
        return -math.inf < end <= self.state["newest"] - self._expire  # type: ignore[no-any-return]  # as above

    def _forget(self) -> None:
        """Remove the keys whose last event is too long ago."""
        keys = self.state["keys"]
        for key in [key for key, series in dict.items(keys) if self._is_expired(series)]:
            del keys[key]
        self._full = max(FEW_KEYS, 2 * len(keys))

    def late(self, series: Sequence[list[Any]], time: float, body: Any) -> dict[str, Any]:
        """Take an event that falls into a closed bucket; the columns are those of its own time."""
        seen = [
            buckets if self._code.take(number, buckets, time, body) else self.layouts[number].new()
            for number, buckets in enumerate(series)
        ]
        return self._code.columns_at(seen, time)

    def other(self, body: Any) -> Any:
        """A body that is not a plain dict."""
        if is_frame(body):
            return self._on_frame(body, None)
        if isinstance(body, Mapping):
            return self.do(dict(body))
        raise TypeError(f"AggregateByKey got {type(body).__name__} as a body; expected a dict or a DataFrame.")

    def missing(self, error: Exception, body: Any) -> Exception:
        """The error of a body without its key or its time."""
        return missing_field("AggregateByKey", error, body)


def _checked(aggregates: Sequence[FieldAggregator | Mapping[str, Any]]) -> list[FieldAggregator]:
    if isinstance(aggregates, FieldAggregator | Mapping) or not aggregates:
        raise GraphError(f"AggregateByKey got {aggregates!r}; expected a list of FieldAggregators.")
    aggregators = [FieldAggregator.of(each).ready() for each in aggregates]
    columns = [column for aggregator in aggregators for column in aggregator.columns()]
    for column in columns:
        if columns.count(column) > 1:
            raise GraphError(f'AggregateByKey would write "{column}" twice; give the aggregators different names.')
    return aggregators


def _named(word: str, part: Part, value: Any) -> dict[str, Any]:
    """The fields that a key or a time goes by: those it was read from, else `word`."""
    if part is None or callable(part):
        return {word: value}
    return {part: value} if isinstance(part, str) else dict(zip(part, value, strict=True))
