"""Distances between two histograms of the same bins, and how probable one is by chance alone.

All of them come from the same counts. Nothing here needs SciPy: a worker that is watched has NumPy and no more.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbgraph.errors import NbgraphError

Counts = NDArray[np.float64]
TINY = 1e-4  # the share of an empty bin, where a distance divides by it


class DistanceKind(StrEnum):
    """The distances that two profiles of a field may be asked for."""

    JSD = "jsd"
    PSI = "psi"
    KL = "kl"
    HELLINGER = "hellinger"
    TVD = "tvd"
    KS = "ks"
    CHI2 = "chi2"
    G = "g"
    WASSERSTEIN = "wasserstein"


def kind_of(name: str) -> DistanceKind:
    """The distance of that name.

    >>> kind_of("psi")
    <DistanceKind.PSI: 'psi'>
    """
    try:
        return DistanceKind(name)
    except ValueError:
        known = ", ".join(DistanceKind)
        raise NbgraphError(f'There is no distance "{name}"; expected one of {known}.') from None


def between(now: ArrayLike, base: ArrayLike, kind: DistanceKind = DistanceKind.JSD) -> float:
    """The distance of the counts `now` from those of the baseline.

    >>> round(between([400, 300, 200, 100], [500, 300, 200, 0]), 6)
    0.232413
    """
    rows = np.array([now, base], dtype=float)
    if not rows.sum(axis=1).all():
        return math.nan
    if kind in (DistanceKind.CHI2, DistanceKind.G):
        return float(g_statistic(rows[:1], rows[1:])[0] if kind is DistanceKind.G else _chi2(rows))
    p, q = rows / rows.sum(axis=1, keepdims=True)
    return float(_SHARES[kind](p, q))


def jsd(now: Counts, base: Counts) -> Counts:
    """The Jensen–Shannon distance, base 2, of each row from the same row of the baseline; NaN for an empty one.

    >>> jsd(np.array([[1.0, 0.0], [2.0, 2.0]]), np.array([[0.0, 1.0], [3.0, 3.0]])).tolist()
    [1.0, 0.0]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        p = now / now.sum(axis=1, keepdims=True)
        q = base / base.sum(axis=1, keepdims=True)
    middle = (p + q) / 2
    divergence: Counts = (_entropy(middle) - (_entropy(p) + _entropy(q)) / 2) / math.log(2)
    return np.sqrt(np.maximum(divergence, 0.0))


def g_statistic(now: Counts, base: Counts) -> Counts:
    """The G statistic of each pair of rows: twice the information in which sample a value came from."""
    cells = np.stack([now, base], axis=1)
    rows, columns = cells.sum(axis=2), cells.sum(axis=1)
    whole = rows.sum(axis=1)
    return np.asarray(2 * (_xlogx(cells).sum((1, 2)) - _xlogx(rows).sum(1) - _xlogx(columns).sum(1) + _xlogx(whole)))


def freedom(now: Counts, base: Counts) -> NDArray[np.int64]:
    """The degrees of freedom of each pair of rows: cells that some sample has a value in, less one."""
    return np.asarray(np.maximum(((now + base) > 0).sum(axis=1) - 1, 0), dtype=np.int64)


def p_value(statistic: float, degrees: int) -> float:
    """How probable a χ² of so many degrees of freedom is that is at least so large.

    >>> f"{p_value(184.22043580076553, 9):.4g}", p_value(3.0, 0)
    ('6.654e-35', 1.0)
    """
    if degrees < 1 or not statistic > 0:
        return 1.0
    return _upper_gamma(degrees / 2, statistic / 2)


def _entropy(shares: Counts) -> Counts:
    return np.asarray(-_xlogx(shares).sum(axis=1))


def _xlogx(values: Any) -> Any:
    """x·ln x, and 0 where x is 0."""
    return values * np.log(np.where(values > 0, values, 1.0))


def _chi2(rows: Counts) -> float:
    used = rows[:, rows.sum(axis=0) > 0]
    expected = used.sum(axis=1, keepdims=True) * used.sum(axis=0) / used.sum()
    return float(((used - expected) ** 2 / expected).sum())


def _smoothed(shares: Counts) -> Counts:
    return np.where(shares > 0, shares, TINY)


def _jsd(p: Counts, q: Counts) -> float:
    return float(jsd(p[None], q[None])[0])


def _psi(p: Counts, q: Counts) -> float:
    p, q = _smoothed(p), _smoothed(q)
    return float(((p - q) * np.log(p / q)).sum())


def _kl(p: Counts, q: Counts) -> float:
    return float((p * np.log(_smoothed(p) / _smoothed(q))).sum())


def _hellinger(p: Counts, q: Counts) -> float:
    return float(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2))


def _tvd(p: Counts, q: Counts) -> float:
    return float(np.abs(p - q).sum() / 2)


def _ks(p: Counts, q: Counts) -> float:
    return float(np.abs(np.cumsum(p - q)).max())


_SHARES = {
    DistanceKind.JSD: _jsd,
    DistanceKind.PSI: _psi,
    DistanceKind.KL: _kl,
    DistanceKind.HELLINGER: _hellinger,
    DistanceKind.TVD: _tvd,
    DistanceKind.KS: _ks,
}


def wasserstein(now: ArrayLike, base: ArrayLike) -> float:
    """How far values have to be moved to become the others, on the average, in the unit of the field.

    >>> wasserstein([1.0, 2.0], [2.0, 3.0])
    1.0
    """
    ours, theirs = np.sort(now), np.sort(base)
    places = np.sort(np.concatenate([ours, theirs]))
    gaps = np.diff(places)
    below = ours.searchsorted(places[:-1], "right") / len(ours) - theirs.searchsorted(places[:-1], "right") / len(
        theirs
    )
    return float((np.abs(below) * gaps).sum())


def _upper_gamma(shape: float, x: float) -> float:
    """The regularised upper incomplete gamma function (Numerical Recipes, 6.2)."""
    scale = shape * math.log(x) - x - math.lgamma(shape)
    if scale < -740:  # below the smallest number there is
        return 0.0 if x > shape else 1.0
    return 1 - math.exp(scale) * _series(shape, x) if x < shape + 1 else math.exp(scale) * _fraction(shape, x)


def _series(shape: float, x: float) -> float:
    term = total = 1 / shape
    while term > total * 1e-16:
        shape += 1
        term *= x / shape
        total += term
    return total


def _fraction(shape: float, x: float) -> float:
    """Lentz's continued fraction."""
    b, c = x + 1 - shape, 1e300
    d = value = 1 / b
    for step in range(1, 500):
        a = -step * (step - shape)
        b += 2
        d = 1 / (a * d + b or 1e-300)
        c = b + a / c or 1e-300
        change = d * c
        value *= change
        if abs(change - 1) < 1e-15:
            break
    return value
