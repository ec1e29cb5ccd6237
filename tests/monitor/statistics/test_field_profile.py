"""Profiles of fields: what they tell, held against SciPy; how they add up."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats

from nbgraph.errors import NbgraphError
from nbgraph.monitor import FieldProfile
from tests.monitor.values import BASE, CLASSES, NOW, OTHER_CLASSES

KINDS = ("psi", "kl", "jsd", "hellinger", "tvd", "ks", "chi2", "g")


def distances(now: FieldProfile, base: FieldProfile, kinds: tuple[str, ...]) -> dict[str, float]:
    return {kind: now.distance(base, kind) for kind in kinds}


def test_distances_of_numbers() -> None:
    base = FieldProfile.of(BASE.tolist())
    now = FieldProfile.of(NOW.tolist(), base.bins)
    counts = np.array([now.judged(), base.judged()])
    expected = {"psi": 0.383081, "kl": 0.209624, "hellinger": 0.216664, "tvd": 0.248, "ks": 0.248}
    expected |= {"jsd": 0.257766, "chi2": stats.chi2_contingency(counts, correction=False)[0]}
    expected |= {"g": stats.chi2_contingency(counts, correction=False, lambda_="log-likelihood")[0]}
    assert (now.judged().tolist(), distances(now, base, KINDS)) == (
        [317, 130, 101, 85, 74, 68, 62, 57, 55, 51],
        pytest.approx(expected, abs=1e-6),
    )


def test_profiles_that_were_counted_apart_are_compared_in_the_bins_of_the_other() -> None:
    base, now = FieldProfile.of(BASE.tolist()), FieldProfile.of(NOW.tolist())
    found = distances(now, base, ("jsd", "psi", "wasserstein"))
    assert found == pytest.approx({"jsd": 0.257766, "psi": 0.383081, "wasserstein": 0.1666665}, abs=1e-4)


def test_distances_of_classes() -> None:
    base = FieldProfile.of(CLASSES)
    now = FieldProfile.of(OTHER_CLASSES, base.bins)
    expected = {"tvd": 0.1, "jsd": 0.232413, "hellinger": 0.229753, "chi2": 111.111111}
    assert (distances(now, base, ("tvd", "jsd", "hellinger", "chi2")), now.unseen_share, now.top[-1]) == (
        pytest.approx(expected, abs=1e-6),
        0.1,
        ("d", 100),
    )


def test_what_is_missing_infinite_or_of_another_kind() -> None:
    values = [1.0, 2, None, float("nan"), math.inf, -math.inf, np.float32(3), "x", True, {"a": 1}]
    found = FieldProfile.of(values)
    assert (found.count, found.missing, found.counts.infinite, found.low, found.high, found.mean, found.types) == (
        10,
        2,
        2,
        1.0,
        3.0,
        2.0,
        {"float": 4, "int": 1, "NoneType": 1, "float32": 1, "str": 1, "bool": 1, "dict": 1},
    )


def test_quantiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(3).gamma(2.0, 3.0, 20_000)
    found = FieldProfile.of(values.tolist())
    ranks = [float((values < found.quantile(share)).mean()) for share in (0.05, 0.5, 0.95)]
    assert ranks == pytest.approx([0.05, 0.5, 0.95], abs=0.017)


@pytest.mark.parametrize("seed", range(5))
def test_parts_add_up_to_the_whole_in_any_order(seed: int) -> None:
    values = np.random.default_rng(seed).normal(1e6, 3.0, 80_000)
    base = FieldProfile.of(values[:1000].tolist())
    whole = FieldProfile.of(values.tolist(), base.bins)
    parts = [FieldProfile.of(part.tolist(), base.bins) for part in np.split(values, 8)]
    random.Random(seed).shuffle(parts)
    added = sum(parts[1:], parts[0])
    assert (added.counts.cells, added.low, added.high, added.distinct) == (
        whole.counts.cells,
        whole.low,
        whole.high,
        whole.distinct,
    )
    assert (added.mean, added.sd) == pytest.approx((values.mean(), values.std(ddof=1)), rel=1e-12)


def test_parts_are_the_same_bytes_in_every_order() -> None:
    values = np.random.default_rng(1).normal(size=4000)
    base = FieldProfile.of(values.tolist())
    parts = [FieldProfile.of(part.tolist(), base.bins).counts for part in np.split(values, 8)]
    sums = set()
    for seed in range(20):
        random.Random(seed).shuffle(parts)
        added = sum(parts[1:], parts[0])
        sums.add((added.cells, added.low, added.high, math.fsum(added.total), math.fsum(added.squares)))
    assert len(sums) == 1


def test_profiles_in_other_bins_do_not_add_up() -> None:
    with pytest.raises(NbgraphError, match="same bins"):
        FieldProfile.of([1.0, 2.0]) + FieldProfile.of([3.0, 4.0])


def test_an_unknown_distance_names_those_there_are() -> None:
    profile = FieldProfile.of([1.0, 2.0])
    with pytest.raises(NbgraphError, match='no distance "psl"; expected one of jsd, psi'):
        profile.distance(profile, "psl")
