"""Differences: what a step changed, path by path, as a message that a view draws as a table."""

from __future__ import annotations

from typing import Any

from nbgraph.debug.frame import MISSING, Frame
from nbgraph.debug.redact import Redaction
from nbgraph.render.printable import printable
from nbgraph.widgets.values.preview import Shown, shown

MOST = 200


def differences(before: Any, after: Any, redaction: Redaction | None = None) -> list[list[Any]]:
    """Path, before, after of all that is not the same in both.

    >>> differences({"a": 1, "b": 2}, {"a": 1, "b": 3})
    [['b', {'kind': 'number', 'text': '2'}, {'kind': 'number', 'text': '3'}]]
    """
    if redaction is not None:
        before, after = redaction.value(before), redaction.value(after)
    found = list(Frame("", "", 1, before, after).diff().items())[:MOST]
    return [[printable(path or "(all)", 200), _side(old), _side(new)] for path, (old, new) in found]


def _side(value: Any) -> Shown:
    return {"kind": "none", "text": "nothing"} if value is MISSING else shown(value, 8_000)
