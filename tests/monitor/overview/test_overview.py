"""What a monitor finds, as a terminal and a page tell it."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from nbgraph.monitor.overview.overview import FieldRow, Overview
from nbgraph.monitor.overview.page import page
from nbgraph.monitor.overview.terminal import shown

FOUND = Overview(
    "fraud",
    [
        FieldRow("clean -> score", "amount", "drifted", 0.8, 0.1, 500, (0.02, 0.05, 0.8)),
        FieldRow("clean -> score", "<shop>", "calm", 0.02, 0.1, 500, (0.02,)),
    ],
    {"predictions": 1000.0, "coverage": 0.5, "estimated": 0.75},
    [("firing", '"amount" at "clean -> score" has drifted: distance 0.800, limit 0.100')],
)


def test_a_terminal_tells_it_in_words_and_bars() -> None:
    console = Console(file=io.StringIO(), width=110)
    console.print(shown(FOUND))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines == [
        "fraud: firing",
        "edge            field   state    distance  limit  values  distances",
        "clean -> score  amount  drifted     0.800  0.100     500  ▁▃█",
        "clean -> score  <shop>  calm        0.020  0.100     500  ▁",
        "Quality: predictions 1,000  coverage 0.5  estimated 0.75",
        "estimated: assumes calibrated scores and no change of the concept",
        'firing: "amount" at "clean -> score" has drifted: distance 0.800, limit 0.100',
    ]


def test_a_page_is_one_file_that_asks_nobody() -> None:
    text = page(FOUND, datetime(2026, 3, 1, tzinfo=UTC))
    told = ("&lt;shop&gt;", "2026-03-01 00:00:00", "3 windows, the last 0.800, limit 0.100", "assumes calibrated")
    assert ([word in text for word in told], "http" in text, text.count("<rect")) == ([True] * 4, False, 4)


def test_where_nothing_was_judged_it_says_so() -> None:
    console = Console(file=io.StringIO(), width=110)
    console.print(shown(Overview("fraud", [], {}, [])))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert told == "fraud: calm\nNo window has ended so far that could be judged.\n"
