"""EnrichmentRouter: keys become features, looked up in a table, before a model sees them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from nbgraph.errors import GraphError, RequestError
from nbgraph.event import Event
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.routers.router import ModelRouter
from nbgraph.steps.tables.table import table_of
from nbgraph.values import is_missing

__all__ = ["EnrichmentRouter"]

STATISTICS: dict[str, Callable[[list[Any]], Any]] = {
    "$mean": statistics.fmean,
    "$median": statistics.median,
    "$min": min,
    "$max": max,
    "$mode": statistics.mode,
}


@runtime_checkable
class Features(Protocol):
    """What a FeatureVector is asked for."""

    @property
    def keys(self) -> list[str]: ...
    def online(self, rows: Any, *, missing: Mapping[str, Any] | None = None) -> Any: ...


class EnrichmentRouter(ModelRouter):
    """A ModelRouter whose requests name rows of a table: each key in "inputs" is replaced by the row's features.

    >>> from nbgraph import Graph
    >>> cards = {"card-7": {"amount": 120, "age": 31}, "card-8": {"amount": 80, "age": None}}
    >>> graph = Graph("g")
    >>> router = EnrichmentRouter(table=cards, features=["age", "amount"], impute_policy={"age": "$mean"})
    >>> _ = graph.to(router, "models").add_route("m1", "(event['inputs'])")
    >>> graph.run({"inputs": [["card-7"], ["card-8"]]})
    [[31, 120], [31.0, 80]]

    An input is the key itself, a list that starts with it, or a record that has it under `key` (its other fields stay,
    and the row's features join them). `impute_policy` tells what stands in for a missing value: by feature, "*" for
    all; a value, or "$mean", "$median", "$min", "$max", "$mode" of the table when the graph is made ready. A key that
    is not in the table is an error, unless every feature has its stand-in.

    With `features=vector`, a FeatureVector of a feature store, the features are those of now, and no table is given: a
    list has the vector's keys in their order, a record has them by name, and `impute_policy` is its `missing`.

    Parameters
    ----------
    table
        Table of the features by key; not with a vector.
    features
        Names of the features in their order, or a FeatureVector.
    key
        Field of a record that is the key.
    impute_policy
        What stands in for a missing value, by feature or `"*"`: a value, or `"$mean"`, `"$median"`, `"$min"`,
        `"$max"`, `"$mode"`.
    """

    def __init__(
        self,
        routes: Mapping[str, Any] | None = None,
        *,
        table: Any = None,
        features: Names | Features | None = None,
        key: str | None = None,
        impute_policy: Mapping[str, Any] | None = None,
        weights: Mapping[str, float] | None = None,
        shadow: Any = None,
        name: str | None = None,
        context: Any = None,
    ) -> None:
        super().__init__(routes, weights=weights, shadow=shadow, name=name, context=context)
        self.key, self.policy = key, dict(impute_policy or {})
        self._vector: Features | None = None
        if isinstance(features, Features):
            self._check_vector(table, key)
            self._vector = features
            return
        self.features = names_of(features or (), "EnrichmentRouter", "features")
        if table is None or not self.features:
            raise GraphError(
                f'EnrichmentRouter "{self.name}" needs table=... and features=[...], the columns it takes.'
            )
        if strange := set(self.policy) - {*self.features, "*"}:
            raise GraphError(f'"{self.name}" imputes {", ".join(sorted(strange))}, which are not among its features.')
        self._table = table_of(table)
        self._defaults: dict[str, Any] = {}

    def _check_vector(self, table: Any, key: str | None) -> None:
        if table is not None or key is not None:
            argument = "table" if table is not None else "key"
            raise GraphError(
                f'EnrichmentRouter "{self.name}" got features=vector and {argument}=, which it has itself.'
            )

    def post_init(self) -> None:
        super().post_init()
        if self._vector is not None:
            return
        for feature in self.features:
            policy = self.policy.get(feature, self.policy.get("*"))
            if policy is not None:
                self._defaults[feature] = self._statistic(feature, policy)

    def preprocess(self, event: Event) -> Event:
        body = event.body
        if not isinstance(body, Mapping) or not isinstance(body.get("inputs"), list):
            return event
        return event.with_body({**body, "inputs": [self._enriched(row) for row in body["inputs"]]})

    def _enriched(self, row: Any) -> Any:
        if self._vector is not None:
            return self._with_vector(self._vector, row)
        if isinstance(row, Mapping):
            if self.key is None or self.key not in row:
                raise RequestError(
                    f'"{self.name}" finds no key in a record of {", ".join(map(str, row))}: key={self.key!r}.'
                )
            return {**row, **self._row(row[self.key])}
        key = row[0] if isinstance(row, list | tuple) and row else row
        return list(self._row(key).values())

    def _with_vector(self, vector: Features, row: Any) -> Any:
        missing = self.policy or None
        if isinstance(row, Mapping):
            return {**row, **vector.online(row, missing=missing)}
        values = list(row) if isinstance(row, list | tuple) else [row]
        keys = dict(zip(vector.keys, values, strict=False))
        if len(keys) < len(vector.keys):
            raise RequestError(f'"{self.name}" got {row!r}; expected the keys {", ".join(vector.keys)}, in that order.')
        return list(vector.online(keys, missing=missing).values())

    def _row(self, key: Any) -> dict[str, Any]:
        found = self._table.get(key)
        if found is None and len(self._defaults) < len(self.features):
            raise RequestError(f'"{self.name}" finds no row of key {key!r} in its table.', 404)
        row = found or {}
        return {
            feature: self._defaults.get(feature) if is_missing(row.get(feature)) else row[feature]
            for feature in self.features
        }

    def _statistic(self, feature: str, policy: Any) -> Any:
        if not isinstance(policy, str) or not policy.startswith("$"):
            return policy
        if policy not in STATISTICS:
            raise GraphError(f'"{self.name}" imputes {feature} by {policy!r}; known are {", ".join(STATISTICS)}.')
        values = [row.get(feature) for row in self._table.values()]
        known = [value for value in values if not is_missing(value)]
        if not known:
            raise GraphError(f'"{self.name}" imputes {feature} by {policy}, but the table has no value of it.')
        return STATISTICS[policy](known)
