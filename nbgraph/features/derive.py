"""Derive: a vector's graph on the row with its features: one answer for each row, offline and online alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbgraph.errors import FeatureError
from nbgraph.introspection import shown

if TYPE_CHECKING:
    from nbgraph.features.offline.moments import Moments
    from nbgraph.features.vector import FeatureVector

Row = dict[str, Any]


def derived(vector: FeatureVector, body: Mapping[str, Any], features: Row) -> Row:
    """The features as the graph answers them; fields of the row itself are left out, unless it changed them."""
    answer = _answer(vector, {**body, **features})
    return {name: value for name, value in answer.items() if name not in body or name in features}


def derived_frame(vector: FeatureVector, moments: Moments, features: Any) -> Any:
    """The rows as they were given, with what the graph makes of them and their features beside them."""
    import polars as pl

    from nbgraph.features.offline.kind import column

    made = [
        derived(vector, body, row) for body, row in zip(moments.bodies(), features.iter_rows(named=True), strict=True)
    ]
    columns = []
    for name in dict.fromkeys(name for row in made for name in row):
        found, wrong = column(name, [row.get(name) for row in made])
        if wrong:
            first = min(wrong)
            raise FeatureError(
                f'The graph of the vector "{vector.name}" gives "{name}", which {wrong[first]} in row {first}.'
            )
        columns.append(found)
    return moments.beside(pl.DataFrame(columns))


def _answer(vector: FeatureVector, row: Row) -> Mapping[str, Any]:
    assert vector.graph is not None
    answers = list(vector.graph.answers(row))
    if len(answers) != 1 or not isinstance(answers[0], Mapping):
        what = shown(answers[0]) if len(answers) == 1 else f"{len(answers)} answers"
        raise FeatureError(
            f'The graph of the vector "{vector.name}" gave {what:.80} for a row; expected one dict for each row.'
        )
    return answers[0]
