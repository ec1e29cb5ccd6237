"""Codegen: the functions that take an event into its windows, generated for the aggregates that a step has.

What a person would write by hand for these fields, operations and windows is what is generated here, so that an event
costs what it would cost by hand. `series.py` documents the lists, and does the same in general terms for the rare
cases: late events, queries, ends of windows. Names in the generated text, with N the number of a series or a raw:

    series      the lists of one key; in a function for one series, that one
    seriesN     one of them: the newest bucket, the closed ones, the windows
    number      the number of the event's bucket; `newest` that of the newest one so far
    rawN        a raw of the newest bucket when it closes
    numbers     the numbers of the closed buckets; `columnN` the values of a raw in them
    start, top  where a window begins among them; how far its stack still reaches
    stackN      a stack of a raw; `wholeN` is what it grows to, with `olderN` from one bucket more
    value       the field's value in the event; `kind` its type
"""

from __future__ import annotations

import linecache
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial, reduce
from itertools import accumulate, count
from operator import itemgetter
from typing import Any, Protocol

from nbgraph.steps.dataframe import is_frame
from nbgraph.steps.windows.codegen_text import (
    added_lines,
    empty_lines,
    indented,
    merge_lines,
    stack_lines_alone,
    stack_lines_together,
    sum_lines,
    texts_at,
    value_text,
    whole_lines,
)
from nbgraph.steps.windows.series import NAN, Series, Slots, added, grown_m2, merged_m2, root
from nbgraph.steps.windows.spec import FieldAggregator
from nbgraph.values import counted, normal_key, number_of, seconds_of

Part = (
    str | Sequence[str] | Callable[[Any], Any] | None
)  # a field, fields, a function of the body; None: the event's own

FEW = 24  # closed buckets that are added up as quickly as they are taken off a stack

_files = count()

_HEAD = ["if type(body) is not dict:", "    return other(body)", "try:"]
_TIME = [
    "except KeyError as error:",
    "    raise missing(error, body) from None",
    "kind = type(time)",
    "if kind is not float and kind is not int:",
    "    time = seconds_of(time)",
]
_ENTRY = [
    "keys = step.state['keys']",
    "try:",
    "    series = keys.get(key)",
    "except TypeError:",  # a list, which is a tuple
    "    series = None",
    "if series is None:",  # in its normal form it may be there
    "    key = normal_key(key)",
    "    series = keys.get(key)",
    "    if series is None:",
    "        series = keys[key] = new(key)",
]


class WindowStep(Protocol):
    """The step that a generated function belongs to: what it remembers, and what it does in the rarer cases."""

    state: dict[str, Any]

    def new(self, key: Any) -> list[list[Any]]: ...
    def late(self, series: Sequence[list[Any]], time: float, body: Any) -> dict[str, Any]: ...
    def other(self, body: Any) -> Any: ...
    def missing(self, error: Exception, body: Any) -> Exception: ...
    def living(self, key: Any, series: list[list[Any]], time: float) -> list[list[Any]]: ...
    @property
    def is_forgetful(self) -> bool: ...


def reader(part: Part) -> Callable[[Any], Any] | None:
    """The function that reads a key or a time from a body; None where it is the event's own.

    >>> reader("card")({"card": 7}), reader(["a", "b"])({"a": 1, "b": 2}), reader(None)
    (7, (1, 2), None)
    """
    if part is None or callable(part):
        return part
    return itemgetter(part) if isinstance(part, str) else lambda body: tuple(body[field] for field in part)


def field_name(part: Part) -> str | None:
    """The field that a key or a time is read from, for errors."""
    return part if isinstance(part, str) else None


def missing_field(step: str, error: Exception, body: Any) -> Exception:
    """The error of a body, or of a frame, without the field of its key or its time."""
    fields = body.columns if is_frame(body) else body
    if not isinstance(error, KeyError) or not (isinstance(fields, Mapping) or fields is not body):
        return error
    return KeyError(
        f"{step} takes {error} from the body, which has {', '.join(map(str, fields)) or 'nothing'}; "
        "correct key or time_field, or add the field before this step."
    )


def _entry(step: WindowStep) -> list[str]:
    """Lines that find the series of a key."""
    return [*_ENTRY, "series = living(key, series, time)"] if step.is_forgetful else _ENTRY


def _read(part: Part, name: str) -> str:
    """The text that reads a key or a time from `body`."""
    if callable(part) or part is None:
        return f"{name}(body)"
    fields = [f"body[{field!r}]" for field in ([part] if isinstance(part, str) else part)]
    return fields[0] if isinstance(part, str) else f"({', '.join(fields)},)"


class WindowCode:
    """The generated functions of some aggregates; `source` is their text.

    `add0(bucket, body, time)` takes an event into a bucket of series 0, `advance0(series, number)` opens a bucket, and
    what `aggregate.py` puts around them is the step's `do`.
    """

    def __init__(self, aggregators: Sequence[FieldAggregator], layouts: Sequence[Series]) -> None:
        self.aggregators, self.layouts = aggregators, layouts
        self.names: dict[str, Any] = {
            "nan": NAN,
            "inf": math.inf,
            "sqrt": math.sqrt,
            "merged_m2": merged_m2,
            "accumulate": accumulate,
            "bisect_right": bisect_right,
            "seconds_of": seconds_of,
            "counted": counted,
            "normal_key": normal_key,
            "root": root,
            "added": added,
            "grown_m2": grown_m2,
            "reduce": reduce,
        }
        for number, aggregator in enumerate(aggregators):
            if callable(aggregator.field):
                self.names[f"field{number}"] = aggregator.field
            if aggregator.max_value is not None:
                self.names[f"limit{number}"] = number_of(aggregator.max_value)
            if aggregator.aggr_filter is not None:
                self.names[f"filter{number}"] = aggregator.aggr_filter
        for number, layout in enumerate(layouts):
            self.names[f"prune{number}"] = layout.prune
            self.names[f"advance{number}"] = self.compiled(f"advance{number}", self._advance(number))

    # Lazily created: most steps never see a late event.

    @cached_property
    def adders(self) -> list[Callable[..., None]]:
        return [self.compiled("add", self._adder(number)) for number in range(len(self.layouts))]

    @cached_property
    def rebuilders(self) -> list[Callable[[list[Any]], Any]]:
        return [self.compiled("rebuild", self._rebuilder(number)) for number in range(len(self.layouts))]

    @cached_property
    def finishers(self) -> list[Callable[[list[Any]], Any]]:
        """As `rebuilders`, for series that no event comes to any more."""
        count = range(len(self.layouts))
        return [self.compiled("rebuild", self._rebuilder(number, is_last=True)) for number in count]

    @cached_property
    def columns(self) -> Callable[[Sequence[list[Any]]], dict[str, Any]]:
        """`columns(series)`: the columns as they are."""
        lines, items = self._columns()
        unpacked = [f"series{number} = series[{number}]" for number in range(len(self.layouts))]
        text = ["def columns(series):", *indented([*unpacked, *lines, f"return {{{items}}}"])]
        return self.compiled("columns", text)

    # --- whole functions ---

    def update(self, step: WindowStep) -> Callable[[Any, float, Any], dict[str, Any]]:
        """`update(key, time, body)`: take an event, give its columns."""
        lines, items = self._columns()
        body = [
            *_entry(step),
            *self._advances("return late(series, time, body)"),
            *self._adds(),
            *lines,
            f"return {{{items}}}",
        ]
        return self._of_step("update", ["def update(key, time, body):", *indented(body)], step)

    def do(self, step: WindowStep, key: Part, time: Part, time_format: str | None) -> Callable[[Any], Any]:
        """`do(body)` of a step whose key and time stand in the body: the same with nothing in between."""
        lines, items = self._columns()
        self.names |= {"key_of": key, "time_of": time}
        body = [
            *_HEAD,
            *indented([f"key = {_read(key, 'key_of')}", f"time = {_read(time, 'time_of')}"]),
            *_TIME,
            *_entry(step),
            *self._advances("return {**body, **late(series, time, body)}"),
            *self._adds(),
            *lines,
            f"return {{**body, {items}}}",
        ]
        self.names["seconds_of"] = partial(seconds_of, field=field_name(time), form=time_format)
        return self._of_step("do", ["def do(body):", *indented(body)], step)

    def _of_step(self, function: str, lines: Sequence[str], step: WindowStep) -> Callable[..., Any]:
        rarer = {"new": step.new, "late": step.late, "other": step.other, "missing": step.missing}
        rarer["living"] = step.living
        return self.compiled(function, lines, step=step, **rarer)

    def take(self, number: int, series: list[Any], time: float, body: Any) -> bool:
        """Take an event of any time into one series; False where it comes too late to count."""
        layout, add = self.layouts[number], self.adders[number]
        bucket = time // layout.spans.period
        if bucket > series[0]:
            self.names[f"advance{number}"](series, bucket)
        if bucket == series[0]:
            add(series, body, time)
            return True
        if not layout.add_late(series, bucket, lambda closed: add(closed, body, time)):
            return False
        self.rebuilders[number](series)
        return True

    def columns_at(self, series: Sequence[list[Any]], time: float, *, last_closed: bool = False) -> dict[str, Any]:
        """The columns of a key whose windows end with the periods that a time falls into.

        With `last_closed` windows of one period, the fixed ones, are those that ended last.
        """
        ended = []
        for layout, each in zip(self.layouts, series, strict=True):
            number = time // layout.spans.period
            ended.append(layout.until(each, number - 1 if last_closed and layout.spans.longest == 1 else number))
        return self.finished(ended)

    def finished(self, ended: Sequence[list[Any]]) -> dict[str, Any]:
        """The columns of series that have ended, whose windows are still to be made."""
        for finish, each in zip(self.finishers, ended, strict=True):
            finish(each)
        return self.columns(ended)

    def compiled(self, function: str, lines: Sequence[str], **names: Any) -> Callable[..., Any]:
        """The function that the lines define, with the lines where tracebacks find them."""
        filename = f"<nbgraph windows {next(_files)}>"
        source = "\n".join(lines)
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        namespace = {**self.names, **names}
        exec(compile(source, filename, "exec"), namespace)
        made: Callable[..., Any] = namespace[function]
        return made

    # --- an event into a bucket ---

    def _adder(self, number: int) -> list[str]:
        """`add(bucket, body, time)` for one series."""
        lines = ["def add(bucket, body, time):"]
        for slots in self.layouts[number].slots:
            lines += indented(self._guarded(slots.aggregator, [("bucket", slots)]))
        return lines

    def _adds(self) -> list[str]:
        """The event into the newest bucket of every series, each aggregator's value being read once."""
        lines: list[str] = []
        for index in range(len(self.aggregators)):
            places = [
                (f"series{number}", slots)
                for number, layout in enumerate(self.layouts)
                for slots in layout.slots
                if slots.aggregator == index
            ]
            lines += self._guarded(index, places)
        return lines

    def _guarded(self, index: int, places: Sequence[tuple[str, Slots]]) -> list[str]:
        aggregator = self.aggregators[index]
        field = aggregator.field
        conditions = [f"filter{index}(body)"] if aggregator.aggr_filter is not None else []
        lines: list[str] = []
        if field is not None:
            lines = [f"value = field{index}(body)" if callable(field) else f"value = body.get({field!r})"]
            lines.append("kind = type(value)")
            is_there = "((kind is float and value == value) or kind is int or (value := counted(value)) is not None)"
            conditions = [is_there, *conditions]
        added = [line for name, slots in places for line in added_lines(name, slots.at)]
        return [*lines, f"if {' and '.join(conditions)}:", *indented(added)] if conditions else [*lines, *added]

    # --- closing a bucket ---

    def _advance(self, number: int) -> list[str]:
        """`advanceN(series, number)`: the bucket of that number opens, the newest so far closes."""
        layout = self.layouts[number]
        raws = range(layout.size)
        lines = [
            *(f"raw{at} = series[{at + 1}]" for at in raws),
            "newest = series[0]",
            "series[0] = number",
        ]
        lines += empty_lines(layout, 1)
        lines += ["if newest == -inf:", "    return", f"numbers = series[{layout.numbers}]"]
        lines += [f"if len(numbers) > {2 * layout.kept + 16}:", f"    prune{number}(series)"]
        lines += ["numbers.append(newest)", *(f"column{at} = series[{layout.numbers + 1 + at}]" for at in raws)]
        lines += [f"column{at}.append(raw{at})" for at in raws]
        for window, (_, buckets) in enumerate(layout.spans.windows):
            if buckets > 1:
                lines += self._move(number, window, buckets)
        return [f"def advance{number}(series, number):", *indented(lines)]

    def _move(self, number: int, window: int, buckets: int) -> list[str]:
        """Lines that let a window take in the bucket that has just closed, and leave those before it."""
        layout = self.layouts[number]
        base, start, back, stacks = (of(window) for of in (layout.base, layout.start, layout.back, layout.stacks))
        lines = [f"limit = number - {buckets}"]
        lines += ["if newest <= limit:", f"    series[{start}] = series[{start + 1}] = len(numbers)"]
        lines += indented(empty_lines(layout, base))
        lines += ["else:", f"    start = series[{start}]", "    while numbers[start] <= limit:", "        start += 1"]
        lines += [f"    series[{start}] = start"]
        if buckets <= FEW and all(slots.stacks_alone for slots in layout.slots):
            return lines + indented(self._add_up(number, window))
        lines += [f"    top = series[{start + 1}] - start - 1", "    if top >= 0:"]
        for slots in layout.slots:
            was = {raw: f"raw{at}" for raw, at in slots.at.items()}
            rest = texts_at(("series", back), slots)
            top = {raw: f"{text}[top]" for raw, text in texts_at(("series", stacks), slots).items()}
            lines += indented(indented(merge_lines(rest, rest, was)))
            lines += indented(indented(merge_lines(texts_at(("series", base), slots), top, rest)))
        lines += ["    else:", f"        series[{start + 1}] = len(numbers)"]
        lines += indented(indented(empty_lines(layout, back)))
        return lines + indented(indented(self._stack(number, window)))

    def _rebuilder(self, number: int, is_last: bool = False) -> list[str]:
        """`rebuild(series)`: what is kept for each window is made anew, after a closed bucket has changed.

        If it is the last time, only the bases are made.
        """
        layout = self.layouts[number]
        lines = [f"numbers = series[{layout.numbers}]"]
        lines += [f"column{at} = series[{layout.numbers + 1 + at}]" for at in range(layout.size)]
        for window, (_, buckets) in enumerate(layout.spans.windows):
            base, start, back = layout.base(window), layout.start(window), layout.back(window)
            lines += [f"series[{start}] = start = bisect_right(numbers, series[0] - {buckets})"]
            lines += [f"series[{start + 1}] = len(numbers)"]
            lines += [*empty_lines(layout, base), *empty_lines(layout, back), "if start < len(numbers):"]
            is_plain = is_last and all(slots.stacks_alone for slots in layout.slots)
            lines += indented(self._add_up(number, window) if is_plain else self._stack(number, window))
        return ["def rebuild(series):", *indented(lines), "    return series"]

    def _add_up(self, number: int, window: int) -> list[str]:
        """Lines that make a short window's base from its closed buckets since `start`; so few need no stack."""
        layout = self.layouts[number]
        base = layout.base(window)
        lines: list[str] = []
        for slots in layout.slots:
            for raw, at in slots.at.items():
                place = f"series[{base + at}]"
                is_extreme = raw in ("min", "max")
                lines += [f"{place} = {raw}(column{at}[start:])"] if is_extreme else sum_lines(place, f"column{at}")
        return lines

    def _stack(self, number: int, window: int) -> list[str]:
        """Lines that make a window's stacks anew, from its closed buckets since `start`."""
        layout = self.layouts[number]
        lines: list[str] = []
        for slots in layout.slots:
            lines += stack_lines_alone(slots) if slots.stacks_alone else stack_lines_together(slots)
        for at in range(layout.size):
            lines.append(f"series[{layout.stacks(window) + at}] = stack{at}")
            lines.append(f"series[{layout.base(window) + at}] = stack{at}[-1]")
        return lines

    def _advances(self, late: str) -> list[str]:
        """Every series at the event's bucket; `late` is what is done where an event comes too late for that."""
        lines: list[str] = []
        for number, layout in enumerate(self.layouts):
            lines += [
                f"series{number} = series[{number}]",
                f"number = time // {layout.spans.period}",
                f"if number != series{number}[0]:",
                f"    if number < series{number}[0]:",
                f"        {late}",
                "    if number != number:",  # the time is infinite, or NaN
                "        seconds_of(time)",
                f"    advance{number}(series{number}, number)",
            ]
        return lines

    # --- columns ---

    def _columns(self) -> tuple[list[str], str]:
        """Lines that work the columns out, and the text of the items of their dict."""
        lines: list[str] = []
        names: dict[str, str] = {}
        for number, layout in enumerate(self.layouts):
            for index, (window, buckets) in enumerate(layout.spans.windows):
                for slots in layout.slots:
                    whole = None if buckets == 1 else index
                    raws, found = self._window(number, layout, slots, whole, f"{number}_{index}_{slots.aggregator}")
                    lines += raws
                    for operation, text in found.items():
                        column = f"{self.aggregators[slots.aggregator].name}_{operation}_{window}"
                        names[column] = text
        wanted = [column for aggregator in self.aggregators for column in aggregator.columns()]
        return lines, ", ".join(f"{column!r}: {names[column]}" for column in wanted)

    def _window(
        self, number: int, layout: Series, slots: Slots, window: int | None, suffix: str
    ) -> tuple[list[str], dict[str, str]]:
        """Lines that merge one aggregator's raws of one window, and each operation's text."""
        aggregator = self.aggregators[slots.aggregator]
        names = {raw: f"{raw}_{suffix}" for raw in slots.at}
        lines = [
            line
            for raw in slots.at
            if raw not in ("first_time", "last_time")
            for line in whole_lines(names[raw], raw, f"series{number}", layout, slots, window)
        ]
        texts = {operation: value_text(operation, names) for operation in aggregator.aggr}
        if aggregator.max_value is not None:
            limit = f"limit{slots.aggregator}"
            lines += [f"value_{operation}_{suffix} = {text}" for operation, text in texts.items()]
            values = {operation: f"value_{operation}_{suffix}" for operation in texts}
            texts = {operation: f"({limit} if {name} > {limit} else {name})" for operation, name in values.items()}
        return lines, texts
