"""Quality: how good predictions were, once labels are there, and what is expected of them before.

Labels that are 0 or 1 beside scores between 0 and 1 are judged as probabilities, numbers as estimates of numbers, all
else as classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbgraph.values import number_of

METRICS = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auc",
    "log_loss",
    "brier",
    "ece",
    "mae",
    "rmse",
    "bias",
)
THRESHOLD = 0.5
CALIBRATION_BINS = 10
LEAST_PROBABILITY = 1e-15
ASSUMES = "assumes calibrated scores and no change of the concept"  # said wherever an estimate is shown
Floats = NDArray[np.float64]


def measures(scores: Sequence[Any], labels: Sequence[Any]) -> dict[str, float]:
    """The metrics that scores and labels have; a metric that means nothing for them is left out.

    >>> found = measures([0.9, 0.8, 0.3], [1, 0, 0])
    >>> round(found["accuracy"], 3), found["auc"], round(found["brier"], 3)
    (0.667, 1.0, 0.247)
    >>> measures(["a", "b"], ["a", "a"])
    {'accuracy': 0.5}
    >>> measures([10.0, 12.0], [11.0, 11.0])["mae"]
    1.0
    """
    if not labels:
        return {}
    scores, labels = [number_of(one) for one in scores], [number_of(one) for one in labels]
    if not all(isinstance(one, int | float) for one in (*scores, *labels)):
        hits = sum(str(score) == str(label) for score, label in zip(scores, labels, strict=True))
        return {"accuracy": hits / len(labels)}
    p, y = np.array(scores, dtype=float), np.array(labels, dtype=float)
    is_binary = bool(np.isin(y, (0, 1)).all() and ((p >= 0) & (p <= 1)).all())
    return _of_probabilities(p, y) if is_binary else _of_numbers(p, y)


def estimated_accuracy(scores: Sequence[Any]) -> float:
    """The accuracy that calibrated probabilities let one expect (CBPE); NaN where the scores are none.

    >>> round(estimated_accuracy([0.9, 0.2]), 3)
    0.85
    """
    found = [number_of(one) for one in scores]
    if not found or not all(isinstance(one, int | float) and 0 <= one <= 1 for one in found):
        return math.nan
    p = np.array(found, dtype=float)
    return float(np.maximum(p, 1 - p).mean())


def row_of(scores: Sequence[Any], labelled: Mapping[int, Any]) -> dict[str, float]:
    """The numbers of a window: `labelled` has the labels that are there, by the place of their prediction."""
    found = measures([scores[place] for place in labelled], list(labelled.values()))
    row = {"predictions": float(len(scores)), "labels": float(len(labelled))}
    row["coverage"] = len(labelled) / len(scores) if scores else math.nan
    row |= {name: found.get(name, math.nan) for name in METRICS}
    return row | {"estimated": estimated_accuracy(scores)}


def _of_numbers(p: Floats, y: Floats) -> dict[str, float]:
    off = p - y
    return {
        "mae": float(np.abs(off).mean()),
        "rmse": math.sqrt(float((off**2).mean())),
        "bias": float(off.mean()),
    }


def _of_probabilities(p: Floats, y: Floats) -> dict[str, float]:
    said = p >= THRESHOLD
    hits = float((said & (y == 1)).sum())
    precision, recall = _ratio(hits, float(said.sum())), _ratio(hits, float(y.sum()))
    safe = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return {
        "accuracy": float((said == (y == 1)).mean()),
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * precision * recall, precision + recall),
        "auc": auc(p, y),
        "log_loss": float(-(y * np.log(safe) + (1 - y) * np.log(1 - safe)).mean()),
        "brier": float(((p - y) ** 2).mean()),
        "ece": calibration_error(p, y),
    }


def auc(p: Floats, y: Floats) -> float:
    """How probable it is that one that is true has the greater score (Mann–Whitney); NaN where all labels are one."""
    positives = float(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return math.nan
    _, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def calibration_error(p: Floats, y: Floats) -> float:
    """The mean gap between score and share of true labels, over ten bins of equal width (ECE)."""
    bins = np.minimum((p * CALIBRATION_BINS + 1e-9).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=p - y, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(p))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
