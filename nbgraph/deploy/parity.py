"""Parity: the same events through the notebook and through a deployment, compared value by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.streams.wire import encode

if TYPE_CHECKING:
    import pandas

COLUMNS = ["event", "local", "deployed", "equal", "difference"]
CLOSE = 1e-9  # of two numbers: another machine adds up in another order
JSON = {"Content-Type": "application/json"}
Invoke = Callable[[Any, str, Mapping[str, str] | None], Any]


def compared(events: Iterable[Any], run: Callable[[Any], Any], invoke: Invoke) -> pandas.DataFrame:
    """A row for every event: what both answer, whether that is equal, and where it first is not."""
    import pandas

    rows = []
    for event in events:
        body, path = (event.body, event.path) if isinstance(event, Event) else (event, "/")
        is_raw = isinstance(body, str | bytes)
        content = body if is_raw else encode(body)  # first, since a step may change what it is given
        local = _outcome(partial(run, event))
        deployed = _outcome(partial(invoke, content, path, {} if is_raw else JSON))
        shown = content if is_raw else msgspec.json.decode(content)
        found = difference(local, deployed)
        rows.append((shown, local, deployed, found is None, found or ""))
    return pandas.DataFrame(rows, columns=COLUMNS)


def difference(local: Any, deployed: Any, at: str = "") -> str | None:
    """Where two answers in plain data first differ, and how; None where they are equal.

    >>> difference({"a": [1, 2.0]}, {"a": [1.0, 2.0000000000001]})
    >>> difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": "2"}]})
    'a[1].b: 2 in the notebook, "2" deployed'
    >>> difference([1, 2], [1]), difference({"x": 1}, {})
    ('2 items in the notebook, 1 deployed', 'x: only in the notebook')
    """
    if isinstance(local, dict) and isinstance(deployed, dict):
        return _of_keys(local, deployed, at)
    if isinstance(local, list) and isinstance(deployed, list):
        return _of_items(local, deployed, at)
    if _is_same(local, deployed):
        return None
    return _told(at, f"{_short(local)} in the notebook, {_short(deployed)} deployed")


def _of_keys(local: dict[str, Any], deployed: dict[str, Any], at: str) -> str | None:
    for key in [*local, *(key for key in deployed if key not in local)]:
        place = f"{at}.{key}" if at else key
        if key not in deployed or key not in local:
            return f"{place}: only {'in the notebook' if key in local else 'deployed'}"
        if found := difference(local[key], deployed[key], place):
            return found
    return None


def _of_items(local: list[Any], deployed: list[Any], at: str) -> str | None:
    if len(local) != len(deployed):
        return _told(at, f"{len(local)} items in the notebook, {len(deployed)} deployed")
    pairs = enumerate(zip(local, deployed, strict=True))
    return next((found for index, (a, b) in pairs if (found := difference(a, b, f"{at}[{index}]"))), None)


def _is_same(left: Any, right: Any) -> bool:
    """Numbers are the same within the last digits, whole or not; true is no number."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        if isinstance(left, int) and isinstance(right, int):
            return left == right
        return (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=CLOSE)
    return type(left) is type(right) and bool(left == right)


def _outcome(call: Callable[[], Any]) -> Any:
    """What came of a call in plain data: its answer, or the error's text."""
    try:
        answer = call()
    except NbgraphError as error:
        told = getattr(error, "answer", None)
        return {"error": told["error"] if isinstance(told, dict) and "error" in told else str(error)}
    if answer is None or isinstance(answer, str | bytes):
        return answer
    return msgspec.json.decode(encode(answer))


def _told(at: str, what: str) -> str:
    return f"{at}: {what}" if at else what


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, bytes) else encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
