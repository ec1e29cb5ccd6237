"""Arrays: NumPy's arrays and numbers in plain data, and back; known by their module, since it need not be there."""

from __future__ import annotations

import sys
from typing import Any

_AS_PYTHON = frozenset("biufcSU")  # kinds of numbers and texts that Python has too


def plain(value: Any) -> Any:
    """The plain form of an array or a number of NumPy; None where it is neither.

    >>> import numpy as np
    >>> plain(np.array([[1, 2]], dtype="int8")), plain(np.int8(3)), plain([1])
    (['|i1', [1, 2], b'\\x01\\x02', True], ['|i1', 3], None)
    """
    if type(value).__module__ != "numpy" or not hasattr(value, "tobytes"):
        return None
    dtype, numpy = value.dtype, sys.modules["numpy"]
    if dtype.hasobject or dtype.kind == "T":
        return [list(value.shape), value.ravel().tolist()] if dtype.names is None else None
    is_array = isinstance(value, numpy.ndarray)
    if not is_array and dtype.kind in _AS_PYTHON and type(value.item()).__module__ == "builtins":
        return [dtype.str, value.item()]
    described = dtype.str if dtype.names is None else numpy.lib.format.dtype_to_descr(dtype)
    return [described, list(value.shape), value.tobytes(), is_array]


def value(plain: list[Any]) -> Any:
    """The array, or the number; a number is Python's own where there is no NumPy.

    >>> value(["|i1", [1, 2], b"\\x01\\x02", True]).tolist(), value([[2], ["a", None]]).dtype
    ([[1, 2]], dtype('O'))
    """
    if len(plain) == 2 and isinstance(plain[0], str):
        return _number(*plain)
    import numpy as np

    if len(plain) == 2:
        shape, items = plain
        array = np.empty(len(items), dtype=object)
        array[:] = items
        return array.reshape(shape)
    described, shape, data, *is_array = plain
    array = np.frombuffer(data, np.lib.format.descr_to_dtype(described)).reshape(shape)
    return array.copy() if shape or is_array == [True] else array[()]


def _number(described: str, item: Any) -> Any:
    try:
        import numpy as np
    except ModuleNotFoundError:
        return item
    return np.dtype(described).type(item)
