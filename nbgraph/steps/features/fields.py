"""Fields: steps over fields, written once for events and for columns of a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.handler import Handler
from nbgraph.steps.dataframe import is_frame, is_polars
from nbgraph.types import Section

Function = Callable[[Any], Any]
Each = Callable[[Function, Any], Any]  # calls a function with a field's value, or with every value of a column


class FieldsStep(Handler):
    """A step that computes fields from fields: `change` is written once, for events and for DataFrames as bodies."""

    section = Section.FEATURES

    def change(self, fields: Mapping[str, Any], each: Each) -> dict[str, Any]:
        """The new fields; use `each(function, value)` to read values."""
        raise NotImplementedError

    def do(self, body: Any) -> Any:
        if is_frame(body):
            changed = self.change({name: body[name] for name in body.columns}, on_column)
            return type(body)(changed) if is_polars(body) else type(body)(changed, index=body.index)
        if not isinstance(body, Mapping):
            name = type(self).__name__
            raise TypeError(f"{name} got {type(body).__name__} as a body; expected a dict or a DataFrame.")
        return self.change(body, on_value)


def refuse_met(step: FieldsStep, made: Iterable[str], fields: Mapping[str, Any]) -> None:
    """Refuse a new field whose name the body already has."""
    for name in made:
        if name in fields:
            raise ValueError(
                f'{type(step).__name__} makes a field "{name}", and the body has one of that name; '
                "rename or drop it before."
            )


def on_value(function: Function, value: Any) -> Any:
    return function(value)


def on_column(function: Function, column: Any) -> Any:
    """A column of the results; repeated values are computed once."""
    if is_polars(column):
        return type(column)(column.name, [function(value) for value in column.to_list()], strict=False)
    import pandas as pd

    if column.dtype.kind in "Of":  # an object column may hold 1 and True, which only look alike
        return pd.Series([function(value) for value in column.tolist()], column.index)
    codes, values = pd.factorize(column, use_na_sentinel=False)
    results = pd.Series([function(value) for value in values.tolist()])
    return pd.Series(results.to_numpy()[codes], column.index)


def mapping_of(given: Any, step: str, example: str) -> dict[Any, Any]:
    """The argument, which must be a dict."""
    if not isinstance(given, Mapping):
        raise GraphError(f"{step} got {given!r}; expected a dict, such as {example}.")
    return dict(given)
