"""Features: map, impute, encode and drop fields, of events and of DataFrames alike."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.handler import Counterpart
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.features.fields import Each, FieldsStep, Function, mapping_of, refuse_met
from nbgraph.values import is_missing

__all__ = ["DropFeatures", "Imputer", "MapValues", "OneHotEncoder"]

RANGES = "ranges"
Range = tuple[Any, float, float]  # what a range is mapped to, from, and up to but not including


class MapValues(FieldsStep):
    """Map values of fields to other values, or ranges of numbers (the lower end included) to names.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import MapValues
    >>> ages = {"ranges": {"child": [0, 18], "adult": [18, "inf"]}}
    >>> graph = Graph("g")
    >>> _ = graph.to(MapValues({"sex": {"M": 0, "F": 1}, "age": ages}, with_original_features=True))
    >>> graph.run({"name": "Ada", "sex": "F", "age": 36})
    {'name': 'Ada', 'sex': 'F', 'age': 36, 'sex_mapped': 1, 'age_mapped': 'adult'}

    As in MLRun, only the mapped fields go on unless `with_original_features`; and what is not in the map, or in no
    range, stays as it is.

    Parameters
    ----------
    mapping
        By field: values and what they become, or `{"ranges": {name: [from, to]}}`.
    with_original_features
        Whether the other fields, and the originals, go on too.
    suffix
        End of the new fields' names beside the originals.
    """

    counterpart = Counterpart("MapValues")

    def __init__(
        self, mapping: Mapping[str, Mapping[Any, Any]], with_original_features: bool = False, suffix: str = "mapped"
    ) -> None:
        maps = mapping_of(mapping, "MapValues", '{"sex": {"M": 0, "F": 1}}')
        self._functions = {field: _mapper(field, values) for field, values in maps.items()}
        self._with_originals, self._suffix = with_original_features, suffix

    def change(self, fields: Mapping[str, Any], each: Each) -> dict[str, Any]:
        mapped = {name: each(self._functions[name], value) for name, value in fields.items() if name in self._functions}
        if not self._with_originals:
            return mapped
        added = {f"{name}_{self._suffix}": value for name, value in mapped.items()}
        refuse_met(self, added, fields)
        return {**fields, **added}


def _mapper(field: str, values: Any) -> Function:
    given = mapping_of(values, f'MapValues, field "{field}",', '{"M": 0} or {"ranges": {"low": [0, 10]}}')
    ranges = [_range(field, name, ends) for name, ends in given.pop(RANGES, {}).items()]

    def mapped(value: Any) -> Any:
        if is_missing(value):
            return given.get(None, value)
        for name, low, high in ranges:
            if low <= value < high:
                return name
        return given.get(value, value)

    return mapped


def _range(field: str, name: Any, ends: Any) -> Range:
    try:
        low, high = (float(end) if isinstance(end, str) else end for end in ends)  # "-inf", "inf"
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not low < high:
        raise GraphError(
            f'MapValues, field "{field}": the range of {name!r} is {ends!r}; expected [from, to], from below to.'
        )
    return name, low, high


class Imputer(FieldsStep):
    """Missing values (None, NaN) become the field's value of `mapping`, else `default_value`.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import Imputer
    >>> graph = Graph("g")
    >>> _ = graph.to(Imputer(default_value=0, mapping={"country": "PT"}))
    >>> graph.run({"amount": None})
    {'amount': 0, 'country': 'PT'}

    A field of `mapping` that the body does not have at all is missing too. `method` has MLRun's place and, as there,
    its one value.

    Parameters
    ----------
    method
        MLRun's argument; only `"avg"`.
    default_value
        Value for missing ones.
    mapping
        Values by field.
    """

    counterpart = Counterpart("Imputer")

    def __init__(
        self, method: str = "avg", default_value: Any = None, mapping: Mapping[str, Any] | None = None
    ) -> None:
        if method != "avg":
            raise GraphError(f'Imputer got method={method!r}; expected "avg". Values go into mapping.')
        self._default = default_value
        self._mapping = mapping_of(mapping or {}, "Imputer", '{"country": "PT"}')

    def change(self, fields: Mapping[str, Any], each: Each) -> dict[str, Any]:
        imputed = {name: each(self._imputer(name), value) for name, value in fields.items()}
        return {**imputed, **{name: value for name, value in self._mapping.items() if name not in imputed}}

    def _imputer(self, name: str) -> Function:
        instead = self._mapping.get(name, self._default)
        return lambda value: instead if instead is not None and is_missing(value) else value


class OneHotEncoder(FieldsStep):
    """A field becomes one field for each category, 1 where it is that and 0 elsewhere.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import OneHotEncoder
    >>> graph = Graph("g")
    >>> _ = graph.to(OneHotEncoder({"kind": ["food", "health care"]}))
    >>> graph.run({"kind": "food", "amount": 3})
    {'kind_food': 1, 'kind_health_care': 0, 'amount': 3}

    Of a value that is not a category, or missing, all are 0. Categories whose fields would have one name are refused,
    and a body that has a field of such a name already is an error.

    Parameters
    ----------
    mapping
        Categories by field.
    """

    counterpart = Counterpart("OneHotEncoder")

    def __init__(self, mapping: Mapping[str, Sequence[str | int]]) -> None:
        given = mapping_of(mapping, "OneHotEncoder", '{"kind": ["food", "health"]}')
        self._columns = {field: _columns(field, categories) for field, categories in given.items()}
        made = [name for columns in self._columns.values() for name in columns]
        if twice := [name for name in made if made.count(name) > 1]:
            raise GraphError(f'OneHotEncoder would make "{twice[0]}" of two fields; rename one of them before.')
        self._made = made

    def change(self, fields: Mapping[str, Any], each: Each) -> dict[str, Any]:
        encoded: dict[str, Any] = {}
        refuse_met(self, self._made, {name: None for name in fields if name not in self._columns})
        for name, value in fields.items():
            if name not in self._columns:
                encoded[name] = value
            else:
                encoded |= {column: each(is_it, value) for column, is_it in self._columns[name].items()}
        absent = [columns for name, columns in self._columns.items() if name not in fields]
        return encoded | {column: 0 for columns in absent for column in columns}


def _columns(field: str, categories: Any) -> dict[str, Function]:
    is_list = isinstance(categories, Iterable) and not isinstance(categories, str)
    if not is_list or not all(isinstance(category, str | int) for category in categories):
        raise GraphError(
            f'OneHotEncoder, field "{field}": got {categories!r}; expected a list of texts or whole numbers.'
        )
    columns: dict[str, Function] = {}
    for category in categories:
        name = f"{field}_{_as_name(category)}"
        if name in columns:
            raise GraphError(
                f'OneHotEncoder, field "{field}": {category!r} would be the field "{name}", as another category is; '
                "name each once, and map those that differ in a space or a dash to others first (MapValues)."
            )
        columns[name] = _is(category)
    return columns


def _as_name(category: str | int) -> str:
    return re.sub("[ -]", "_", category) if isinstance(category, str) else str(category)


def _is(category: str | int) -> Function:
    return lambda value: int(not is_missing(value) and bool(value == category))


class DropFeatures(FieldsStep):
    """The body without some of its fields; those that it does not have are left out of account.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import DropFeatures
    >>> graph = Graph("g")
    >>> _ = graph.to(DropFeatures(["name"]))
    >>> graph.run({"name": "Ada", "age": 36})
    {'age': 36}

    Parameters
    ----------
    features
        Names of the fields.
    """

    counterpart = Counterpart("DropFeatures")

    def __init__(self, features: Names) -> None:
        self._features = frozenset(names_of(features, "DropFeatures", "features"))

    def change(self, fields: Mapping[str, Any], each: Each) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name not in self._features}
