"""Plain: values of NumPy and pandas as plain Python values, before they are written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from nbgraph.values import is_missing, number_of

_PLAIN = frozenset({type(None), str, int, bool, bytes, list, dict})


def plain_of(value: Any) -> Any:
    """The plain Python value; None if it is missing, a list for an array or a tuple; others are unchanged.

    >>> import numpy as np
    >>> plain_of(np.float32(1.5)), plain_of(float("nan")), plain_of((1, 2)), plain_of(np.datetime64("2013-01-01"))
    (1.5, None, [1, 2], datetime.datetime(2013, 1, 1, 0, 0))
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if value == value else None
    value = number_of(value)
    if is_missing(value):
        return None
    if isinstance(value, datetime):
        return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    if hasattr(value, "to_pytimedelta"):
        return value.to_pytimedelta()
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # an array; a time or a span of time of NumPy
        return value.tolist() if getattr(value, "ndim", 0) else value.astype(f"{value.dtype.kind}8[us]").item()
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, bool):
        return value
    bases: tuple[Any, ...] = (str, int, dict, list)
    return next((base(value) for base in bases if isinstance(value, base) and type(value) is not base), value)
