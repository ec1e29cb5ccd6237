"""Previews of values."""

import json
import threading

from nbgraph.widgets.values.preview import shown


class Odd:
    def __repr__(self):
        raise RuntimeError("no words")

    def __len__(self):
        return -1


def test_any_value_is_shown_in_bounds():
    loop: list = []
    loop.append(loop)
    values = [
        loop, Odd(), "x" * 10**6, list(range(10**5)), {"a": "y" * 10**6}, b"\xff" * 10**6, 10**5000, "\ud800",
        (n for n in range(3)), {f"k{n}": ["v" * 3000] * 50 for n in range(200)}, float("nan"), object, threading.Lock(),
    ]  # fmt: skip
    assert max(len(json.dumps(shown(value))) for value in values) <= 100_000
