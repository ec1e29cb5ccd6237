"""Features: sets and vectors that steps name, whose online rows a target has to reach."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from nbgraph.engine.compile.bind import value_of
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError


def check_features(target: str, functions: Sequence[Function]) -> None:
    """Refuse online rows in a file of this machine, which no container sees."""
    if target == "process" or "nbgraph.features.store" not in sys.modules:
        return
    from nbgraph.features.set import FeatureSet
    from nbgraph.features.vector import FeatureVector

    for function in functions:
        for step in function.graph.steps:
            for argument in step.arguments.values():
                found = value_of(argument, function.graph.scope, step.name)
                if isinstance(found, FeatureSet | FeatureVector) and found.place and found.place.online is None:
                    raise DeployError(
                        f'Step "{step.name}" reads features of "{found.name}", whose online rows are a SQLite file in '
                        f'{found.place}, which target "{target}" does not reach: give the store online="redis://..." '
                        'or online="postgresql://...", or deploy to "process".'
                    )
