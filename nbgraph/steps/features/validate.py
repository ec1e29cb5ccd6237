"""Validate: rules for fields, and what happens to events that break them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.handler import Handler
from nbgraph.steps.dataframe import is_frame, is_polars, rows_of
from nbgraph.steps.features.fields import mapping_of
from nbgraph.types import Section, Shape
from nbgraph.values import is_missing

__all__ = ["Validate"]

ACTIONS = ("mark", "drop", "raise")
Check = Callable[[Any], str | None]  # the problem with a value, as text; None without one


class Validate(Handler):
    """Check fields against rules: `min`, `max`, `min_length`, `max_length`, `regex` (of the whole text), `required`.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import Validate
    >>> graph = Graph("g")
    >>> _ = graph.to(Validate({"age": {"min": 0, "max": 120}, "zip": {"regex": "[0-9]{5}"}}))
    >>> graph.run({"age": 130, "zip": "12345"})
    {'age': 130, 'zip': '12345', 'problems': ['age is 130, more than 120']}

    Events that break a rule are marked: the field `mark` lists the problems, and is empty without any. With the action
    "drop" such events (of a DataFrame such rows) do not go on; with "raise" they are errors. A missing value breaks
    only `required`.

    Parameters
    ----------
    rules
        Rules by field.
    action
        What becomes of an event that breaks one: `"mark"`, `"drop"`, `"raise"`.
    mark
        Field that lists the problems.
    """

    section = Section.FEATURES
    results_are_new = True

    def __init__(self, rules: Mapping[str, Mapping[str, Any]], action: str = "mark", mark: str = "problems") -> None:
        if action not in ACTIONS:
            raise GraphError(f"Validate got action={action!r}; expected one of {', '.join(ACTIONS)}.")
        given = mapping_of(rules, "Validate", '{"age": {"min": 0}}')
        self._checks = {field: _checks(field, each) for field, each in given.items()}
        self._action, self._mark = action, mark
        self.shape = Shape.FLAT if action == "drop" else Shape.MAP

    def do(self, body: Any) -> Any:
        if is_frame(body):
            return self._on_frame(body)
        problems = self._problems(body)
        if self._action == "mark":
            return {**body, self._mark: problems}
        if self._action == "drop":
            return [] if problems else [body]
        if problems:
            raise ValueError("; ".join(problems))
        return body

    def _problems(self, body: Mapping[str, Any]) -> list[str]:
        found = (check(body.get(field)) for field, checks in self._checks.items() for check in checks)
        return [problem for problem in found if problem is not None]

    def _on_frame(self, frame: Any) -> Any:
        fields = [field for field in self._checks if field in frame.columns]
        found = [self._problems(row) for row in rows_of(frame[fields])] if fields else [self._problems({})] * len(frame)
        if self._action == "mark":
            return _marked(frame, self._mark, found)
        if self._action == "drop":
            is_right = [not problems for problems in found]
            return [frame.filter(is_right) if is_polars(frame) else frame[is_right]]
        places = range(len(frame)) if is_polars(frame) else frame.index
        wrong = [(place, problems) for place, problems in zip(places, found, strict=True) if problems]
        if wrong:
            place, problems = wrong[0]
            raise ValueError(
                f"{len(wrong)} of {len(frame)} rows break rules, first row {place!r}: {'; '.join(problems)}"
            )
        return frame


def _marked(frame: Any, name: str, found: list[list[str]]) -> Any:
    if is_polars(frame):
        import polars as pl

        return frame.with_columns(pl.Series(name, found, dtype=pl.List(pl.String)))
    import pandas as pd

    return frame.assign(**{name: pd.Series(found, frame.index, dtype=object)})


def _checks(field: str, rules: Any) -> list[Check]:
    given = mapping_of(rules, f'Validate, field "{field}",', '{"min": 0, "max": 120}')
    unknown = [rule for rule in given if rule not in _RULES]
    if unknown:
        raise GraphError(f'Validate, field "{field}": there is no rule "{unknown[0]}"; known: {", ".join(_RULES)}.')
    return [_named(field, _RULES[rule](limit), rule) for rule, limit in given.items()]


def _named(field: str, check: Check, rule: str) -> Check:
    """The check with the field's name before its message; missing values are left to `required`."""

    def named(value: Any) -> str | None:
        if is_missing(value):
            value = None
            if rule != "required":
                return None
        try:
            problem = check(value)
        except TypeError:
            problem = f"is {value!r}, which the rule {rule} is not for"
        return None if problem is None else f"{field} {problem}"

    return named


def _matching(pattern: str) -> Check:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise GraphError(f"Validate got the regex {pattern!r}, which is not a regular expression: {error}.") from None
    return lambda value: None if compiled.fullmatch(value) else f"is {value!r}, which does not match {pattern}"


_RULES: dict[str, Callable[[Any], Check]] = {
    "required": lambda yes: lambda value: "is missing" if yes and value is None else None,
    "min": lambda limit: lambda value: f"is {value!r}, less than {limit!r}" if value < limit else None,
    "max": lambda limit: lambda value: f"is {value!r}, more than {limit!r}" if value > limit else None,
    "min_length": lambda least: (
        lambda value: f"has length {len(value)}, less than {least}" if len(value) < least else None
    ),
    "max_length": lambda most: (
        lambda value: f"has length {len(value)}, more than {most}" if len(value) > most else None
    ),
    "regex": _matching,
}
