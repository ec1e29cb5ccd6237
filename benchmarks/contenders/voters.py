"""Three scikit-learn models that vote, and the real data that they were fitted on."""

from __future__ import annotations

from typing import Any

import numpy
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def voters(kind: str) -> tuple[dict[str, Any], list[list[float]]]:
    """The models, all of them quick ones or of the usual mixture, and rows to ask them about."""
    rows, kinds = load_breast_cancer(return_X_y=True)
    rows = StandardScaler().fit_transform(rows)
    models: dict[str, Any] = {f"line{number}": LogisticRegression(C=10.0**-number) for number in range(3)}
    if kind == "usual":
        forest = RandomForestClassifier(n_estimators=50, random_state=0)
        boosted = GradientBoostingClassifier(random_state=0)
        models = {"line": make_pipeline(StandardScaler(), LogisticRegression()), "forest": forest, "boosted": boosted}
    for model in models.values():
        model.fit(rows, kinds)
    return models, rows.tolist()


def vote(models: list[Any], row: list[float]) -> int:
    """The vote written by hand."""
    array = numpy.asarray([row])
    answers = [model.predict(array).tolist()[0] for model in models]
    return max(answers, key=answers.count)
