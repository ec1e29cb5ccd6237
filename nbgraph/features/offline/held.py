"""Held: for each asked key and moment, the newest row that counts then: a join by time.

A row is seen from a moment on: its own time; with `before` just after it; with `as_known` not before it arrived. Of
the rows that are seen the one with the greatest (time, number) counts. Where rows are not seen in the order of their
times, each is replaced by the best that is seen with it, so one backward search answers every question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from nbgraph.features.offline.kind import Frame
from nbgraph.features.offline.moments import MOMENT, PLACE
from nbgraph.features.offline.table import SEQUENCE, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbgraph.features.set import FeatureSet

TIME, SEEN, FOUND = "_time", "_seen", "_found"


def seen(set: FeatureSet, rows: Frame, before: bool, as_known: bool) -> Frame:
    """Rows (lazy) with their time, and the moment from which they are seen, in microseconds."""
    time = pl.lit(-(2**62), pl.Int64) if set.time is None else pl.col(set.time).dt.epoch("us")
    own = time + (1 if before and set.time is not None else 0)
    if as_known:
        arrived = pl.col(WRITTEN) if set.arrival is None else pl.coalesce(set.arrival, WRITTEN)
        own = pl.max_horizontal(own, arrived.dt.epoch("us"))
    return rows.with_columns(time.alias(TIME), own.alias(SEEN))


def held(set: FeatureSet, rows: Frame, asked: Frame, features: Sequence[str], *, as_known: bool) -> Frame:
    """The features of each asked row, in the order of the asked; `rows` are those of `seen`, `asked` has keys."""
    keys = list(set.key)
    until = asked[MOMENT].max()
    near = rows.head(0) if until is None else rows.filter(pl.col(SEEN) <= until)
    known = near.select(list(dict.fromkeys([*keys, TIME, SEEN, SEQUENCE, *features]))).collect()
    # only what is searched is sorted; the features are picked for the rows that are found
    ordered = known.select(keys + [TIME] * as_known + [SEEN, SEQUENCE]).with_row_index(FOUND)
    ordered = _best(ordered, keys) if as_known else ordered.sort([SEEN, SEQUENCE])
    questions = asked.select([*keys, MOMENT, PLACE]).sort(MOMENT)
    found = questions.join_asof(
        ordered, left_on=MOMENT, right_on=SEEN, by=keys, strategy="backward", check_sortedness=False
    ).sort(PLACE)
    answer = known.select(pl.col(list(dict.fromkeys([TIME, *features]))).gather(found[FOUND]))
    if set.lifetime is not None:
        is_fresh = found[MOMENT] - answer[TIME] <= set.lifetime
        answer = answer.with_columns(pl.when(is_fresh).then(pl.col(name)).alias(name) for name in features)
    return answer.select(features)


def _best(rows: Frame, keys: Sequence[str]) -> Frame:
    """In the place of each row the best of its key so far: the one of the greatest time, then number."""
    ranked = rows.sort([TIME, SEQUENCE]).with_row_index("_rank").sort([SEEN, "_rank"])
    best = ranked.select([*keys, SEEN, pl.col("_rank").cum_max().over(keys).alias("_rank")])
    return best.join(ranked.select("_rank", FOUND), on="_rank", how="left", maintain_order="left")
