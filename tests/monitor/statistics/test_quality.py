"""Quality: the fixed values, and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from nbgraph.monitor.statistics.quality import measures, row_of

Y = [1, 0, 1, 1, 0, 0, 1, 0]
P = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1]


def test_the_fixed_values() -> None:
    found = row_of(P, dict(enumerate(Y)))
    assert {name: value for name, value in found.items() if value == value} == pytest.approx(
        {
            "predictions": 8,
            "labels": 8,
            "coverage": 1,
            "accuracy": 0.75,
            "precision": 0.75,
            "recall": 0.75,
            "f1": 0.75,
            "auc": 0.6875,
            "log_loss": 0.645575,
            "brier": 0.225,
            "ece": 0.4,
            "estimated": 0.75,
        },
        abs=1e-6,
    )


def test_half_the_labels_give_the_numbers_of_those() -> None:
    found = row_of(P, dict(enumerate(Y[:4])))
    assert (found["coverage"], found["labels"], found["accuracy"]) == (0.5, 4, 0.75)


def test_probabilities_are_judged_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    p = rng.beta(1, 3, 5000).round(3)
    y = (rng.random(5000) < p).astype(int)
    said = p >= 0.5
    found = measures(p.tolist(), y.tolist())
    assert [found[name] for name in ("accuracy", "precision", "recall", "f1", "auc", "log_loss", "brier")] == (
        pytest.approx(
            [
                metrics.accuracy_score(y, said),
                metrics.precision_score(y, said),
                metrics.recall_score(y, said),
                metrics.f1_score(y, said),
                metrics.roc_auc_score(y, p),
                metrics.log_loss(y, p),
                metrics.brier_score_loss(y, p),
            ]
        )
    )


def test_numbers_are_judged_as_numbers() -> None:
    assert measures([10.0, 12.0, 20.0], [11.0, 11.0, 14.0]) == pytest.approx(
        {"mae": 8 / 3, "rmse": (38 / 3) ** 0.5, "bias": 2.0}
    )
