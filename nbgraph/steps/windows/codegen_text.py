"""Codegen: the lines of Python that windows are made of; `codegen.py` puts them together."""

from __future__ import annotations

from collections.abc import Sequence

from nbgraph.steps.windows.series import EMPTY, Series, Slots


def tried(line: str, instead: str) -> list[str]:
    """A line, and what is done where numbers do not add up by themselves: a Decimal and a float."""
    return ["try:", f"    {line}", "except TypeError:", f"    {instead}"]


def added_lines(name: str, at: dict[str, int]) -> list[str]:
    """Lines that take `value` into the bucket `name`."""
    place = {raw: f"{name}[{position + 1}]" for raw, position in at.items()}
    lines = {
        "count": ["{count} += 1"],
        # not in place: the sum of arrays is in an answer already
        "sum": tried("{sum} = {sum} + value", "{sum} = added({sum}, value)"),
        "sqr": tried("{sqr} = {sqr} + value * value", "{sqr} = added({sqr}, value * value)"),
        "m2": [  # of an infinite distance NaN, as in pandas
            "count = {count}",
            "if count > 1:",
            "    try:",
            "        distance = count * value - {sum}",
            "        {m2} += (distance * distance + (distance - distance)) / (count * (count - 1))",
            "    except TypeError:",
            "        {m2} = grown_m2({m2}, count, {sum}, value)",
        ],
        "min": ["if value < {min}:", "    {min} = value"],
        "max": ["if value > {max}:", "    {max} = value"],
        "first": ["if time < {first_time}:", "    {first_time} = time", "    {first} = value"],
        "last": ["if time >= {last_time}:", "    {last_time} = time", "    {last} = value"],
    }
    return [line.format(**place) for raw in at if raw in lines for line in lines[raw]]


def merged_lines(target: str, raw: str, older: dict[str, str], newer: dict[str, str]) -> list[str]:
    """Lines that set a name to the merged raw of two groups of values."""
    line = f"{target} = {merge_text(raw, older, newer)}"
    return tried(line, f"{target} = added({older[raw]}, {newer[raw]})") if raw in ("sum", "sqr") else [line]


def merge_text(raw: str, older: dict[str, str], newer: dict[str, str]) -> str:
    """The text that merges a raw of two groups of values."""
    one, other = older[raw], newer[raw]
    if raw in ("count", "sum", "sqr"):
        return f"{one} + {other}"
    if raw in ("min", "max"):
        return f"{other} if {other} {'<' if raw == 'min' else '>'} {one} else {one}"
    if raw == "m2":
        parts = [group[part] for group in (older, newer) for part in ("count", "sum", "m2")]
        return f"merged_m2({', '.join(parts)})"
    if raw in ("first", "first_time"):
        return f"{one} if {older['count']} else {other}"
    return f"{other} if {newer['count']} else {one}"


Place = tuple[str, int]  # a list's name, and where the raws begin in it


def stack_lines_alone(slots: Slots) -> list[str]:
    """Lines that make the stack of each column by itself."""
    lines: list[str] = []
    for raw, at in slots.at.items():
        lines += [f"closed = column{at}[start:]", "closed.reverse()"]
        if raw in ("min", "max"):
            lines.append(f"stack{at} = list(accumulate(closed, {raw}))")
        else:
            line = f"stack{at} = list(accumulate(closed))"
            lines += tried(line, f"stack{at} = list(accumulate(closed, added))")
    return lines


def sum_lines(target: str, column: str) -> list[str]:
    """Lines that add up the closed buckets of a column since `start`."""
    return tried(f"{target} = sum({column}[start:])", f"{target} = reduce(added, {column}[start:], 0)")


def stack_lines_together(slots: Slots) -> list[str]:
    """The same for raws that need each other to be merged."""
    whole = {raw: f"whole{at}" for raw, at in slots.at.items()}
    older = {raw: f"older{at}" for raw, at in slots.at.items()}
    lines = [line for raw, at in slots.at.items() for line in (f"stack{at} = []", f"whole{at} = {EMPTY[raw]!r}")]
    columns = ", ".join(f"reversed(column{at}[start:])" for at in slots.at.values())
    lines.append(f"for {', '.join(older.values())} in zip({columns}):")
    lines += indented(merge_lines(whole, older, whole))
    return lines + [f"    stack{at}.append(whole{at})" for at in slots.at.values()]


def empty_lines(layout: Series, start: int) -> list[str]:
    """Lines that set the raws from `start` on to what they are without events."""
    places: dict[str, list[str]] = {}
    for at, empty in enumerate(layout.empty):
        places.setdefault(repr(empty), []).append(f"series[{start + at}]")
    return [f"{' = '.join(names)} = {empty}" for empty, names in places.items()]


def merge_lines(target: dict[str, str], older: dict[str, str], newer: dict[str, str]) -> list[str]:
    """Lines that merge all raws of an aggregator; those that others depend on are written last."""
    return [line for raw in reversed(target) for line in merged_lines(target[raw], raw, older, newer)]


def texts_at(place: Place, slots: Slots) -> dict[str, str]:
    name, start = place
    return {raw: f"{name}[{start + position}]" for raw, position in slots.at.items()}


def whole_lines(target: str, raw: str, name: str, layout: Series, slots: Slots, window: int | None) -> list[str]:
    """Lines that set a name to a window's raw: its base merged with the newest bucket."""
    newest = texts_at((name, 1), slots)
    if window is None:
        return [f"{target} = {newest[raw]}"]
    return merged_lines(target, raw, texts_at((name, layout.base(window)), slots), newest)


def value_text(operation: str, names: dict[str, str]) -> str:
    texts = {
        "avg": "({sum} / {count} if {count} else nan)",
        "min": "({min} if {count} else nan)",
        "max": "({max} if {count} else nan)",
        "stdvar": "({m2} / ({count} - 1) if {count} > 1 else nan)",
        "stddev": "((sqrt(variance) if type(variance := {m2} / ({count} - 1)) is float else root(variance)) "
        "if {count} > 1 else nan)",
    }
    return texts.get(operation, "{" + operation + "}").format(**names)


def indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
