"""What the feature contenders do: payments of many cards, asked for at past moments and now."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

START = 1_767_225_600
DAYS = 7
FEATURES = [f"f{number}" for number in range(10)]


def payments(rows: int) -> pl.DataFrame:
    random = np.random.default_rng(16)
    seconds = START + random.integers(0, 86_400 * DAYS, rows)
    return pl.DataFrame(
        {
            "card": [f"c-{number}" for number in random.integers(0, max(rows // 100, 1), rows)],
            "time": pl.Series(seconds * 1_000_000).cast(pl.Datetime("us", "UTC")),
            **{name: random.integers(0, 1000, rows).astype(float) for name in FEATURES},
        }
    )


def asked(rows: int) -> pl.DataFrame:
    """A question for every ten rows, of the cards that there are."""
    random = np.random.default_rng(61)
    seconds = START + random.integers(0, 86_400 * DAYS, max(rows // 10, 1))
    cards = random.integers(0, max(rows // 100, 1), len(seconds))
    return pl.DataFrame(
        {
            "card": [f"c-{number}" for number in cards],
            "time": pl.Series(seconds * 1_000_000).cast(pl.Datetime("us", "UTC")),
        }
    )


def card(number: int) -> str:
    return f"c-{number * 7919 % 1000}"


def summed(frame: Any) -> float:
    return round(float(frame["f0"].fill_null(0).sum()), 3)


# The steps of an ingest.


def positive(row: dict[str, Any]) -> bool:
    return bool(row["f0"] >= 10)


def total(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "total": row["f0"] + row["f1"]}


def share(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "share": row["f0"] / (row["total"] or 1)}
