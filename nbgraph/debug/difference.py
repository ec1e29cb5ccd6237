"""Difference: where two values of plain data differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nbgraph.introspection import shown
from nbgraph.streams.codec.wire import encode, is_json

Names = tuple[str, str]
CLOSE = 1e-9  # relative, of two numbers: another machine may add in another order
PARITY = ("in the notebook", "deployed")


def difference(local: Any, deployed: Any, at: str = "", names: Names = PARITY) -> str | None:
    """Where two values of plain data first differ, and how; None if they are equal.

    >>> difference({"a": [1, 2.0]}, {"a": [1.0, 2.0000000000001]})
    >>> difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": "2"}]})
    'a[1].b: 2 in the notebook, "2" deployed'
    >>> difference([1, 2], [1]), difference({"x": 1}, {})
    ('2 items in the notebook, 1 deployed', 'x: only in the notebook')
    """
    if isinstance(local, dict) and isinstance(deployed, dict):
        return _of_keys(local, deployed, at, names)
    if isinstance(local, list | tuple) and type(local) is type(deployed):
        return _of_items(local, deployed, at, names)
    if _is_same(local, deployed):
        return None
    return _at(at, f"{_short(local)} {names[0]}, {_short(deployed)} {names[1]}")


def _of_keys(local: dict[str, Any], deployed: dict[str, Any], at: str, names: Names) -> str | None:
    for key in [*local, *(key for key in deployed if key not in local)]:
        place = f"{at}.{key}" if at else str(key)
        if key not in deployed or key not in local:
            return f"{place}: only {names[0] if key in local else names[1]}"
        if found := difference(local[key], deployed[key], place, names):
            return found
    return None


def _of_items(local: Sequence[Any], deployed: Sequence[Any], at: str, names: Names) -> str | None:
    if len(local) != len(deployed):
        return _at(at, f"{len(local)} items {names[0]}, {len(deployed)} {names[1]}")
    pairs = enumerate(zip(local, deployed, strict=True))
    return next((found for index, (a, b) in pairs if (found := difference(a, b, f"{at}[{index}]", names))), None)


def _is_same(left: Any, right: Any) -> bool:
    """Whether values are equal; numbers up to rounding errors, and True is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        if isinstance(left, int) and isinstance(right, int):
            return left == right
        return (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=CLOSE)
    return type(left) is type(right) and bool(left == right)


def _at(at: str, what: str) -> str:
    return f"{at}: {what}" if at else what


def _short(value: Any) -> str:
    text = encode(value).decode() if is_json(value) else shown(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
