"""Readings of 1,000 sensors, five a second, and the columns that contenders must agree on; standard library only."""

from __future__ import annotations

import random
from typing import Any

Record = dict[str, Any]

KEYS = 1000
WINDOWS, PERIOD = ["1h", "6h"], "10m"
COLUMNS = [f"amount_{operation}_{window}" for operation in ("sum", "avg") for window in WINDOWS]


def readings(count: int) -> list[Record]:
    chance = random.Random(0)
    return [
        {"card": chance.randrange(KEYS), "time": 1.7e9 + number / 5, "amount": chance.randrange(100)}
        for number in range(count)
    ]


def summary(answers: list[Record]) -> list[float]:
    """What contenders must agree on."""
    return [len(answers), *(round(sum(answer[column] for answer in answers), 3) for column in COLUMNS)]
