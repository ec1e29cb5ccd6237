"""Tables: what pandas and Polars have of their own in plain data, and back, known by name and not imported."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

from nbgraph.values import is_missing


def plain(value: Any) -> Any:
    """The plain form of a table, a column or a moment of a library; None where it is none.

    >>> import pandas as pd
    >>> plain(pd.Timestamp(0, tz="Europe/Berlin").as_unit("s")), plain([1])
    (['pandas.Timestamp', [0, 's', 'Europe/Berlin']], None)
    """
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    name = f"{library}.{kind.__name__}"
    if library not in sys.modules or name not in _KINDS:
        return None
    found = _KINDS[name][0](value)
    return None if found is None else [name, found]


def is_known(name: Any) -> bool:
    """Whether there are tables of that name."""
    return isinstance(name, str) and name in _KINDS


def value(name: str, plain: Any) -> Any:
    """What `plain` told of.

    >>> value("pandas.Timestamp", [0, "ns", "Europe/Berlin"])
    Timestamp('1970-01-01 01:00:00+0100', tz='Europe/Berlin')
    """
    return _KINDS[name][1](plain)


# --- pandas ---


def _of_frame(frame: Any) -> list[Any]:
    columns = [_of_values(frame.iloc[:, place]) for place in range(frame.shape[1])]
    return [columns, _of_index(frame.columns), _of_index(frame.index), dict(frame.attrs)]


def _frame(plain: list[Any]) -> Any:
    import pandas as pd

    columns, names, index, attrs = plain
    rows = _index(index)
    frame = pd.DataFrame({place: pd.Series(_values(column), index=rows) for place, column in enumerate(columns)}, rows)
    frame.columns = _index(names)
    frame.attrs = attrs
    return frame


def _of_series(series: Any) -> list[Any]:
    return [_of_values(series), _of_index(series.index), series.name]


def _series(plain: list[Any]) -> Any:
    import pandas as pd

    values, index, name = plain
    return pd.Series(_values(values), index=_index(index), name=name)


def _of_index(index: Any) -> list[Any]:
    """The index by its kind: a range, several levels, or values."""
    if type(index).__name__ == "RangeIndex":
        return ["range", [index.start, index.stop, index.step], index.name]
    if type(index).__name__ == "MultiIndex":
        levels = [_of_index(index.get_level_values(level)) for level in range(index.nlevels)]
        return ["levels", levels, list(index.names)]
    return ["values", _of_values(index), index.name]


def _index(plain: list[Any]) -> Any:
    import pandas as pd

    kind, told, name = plain
    if kind == "range":
        start, stop, step = told
        return pd.RangeIndex(start, stop, step, name=name)
    if kind == "levels":
        return pd.MultiIndex.from_arrays([_index(level) for level in told], names=name)
    return pd.Index(_values(told), name=name)


def _of_values(values: Any) -> list[Any]:
    """A column's type and its values: an array of NumPy as it is, codes with their categories, or one by one."""
    dtype = values.dtype
    if type(dtype).__module__.startswith("numpy"):
        return ["numpy", values.to_numpy()]
    if hasattr(dtype, "categories"):
        codes = values.codes if hasattr(values, "codes") else values.cat.codes.to_numpy()
        return ["category", codes, _of_index(dtype.categories), bool(dtype.ordered)]
    items = values.array.astype(object)
    return [str(dtype), [None if is_missing(item) else item for item in items]]


def _values(plain: list[Any]) -> Any:
    import pandas as pd

    kind, values, *more = plain
    if kind == "numpy":
        return values
    if kind == "category":
        categories, is_ordered = more
        return pd.Categorical.from_codes(values, _index(categories), ordered=is_ordered)
    return pd.array(values, dtype=kind)


def _of_moment(moment: Any) -> list[Any] | None:
    zone = None if moment.tz is None else str(moment.tz)
    told = [int(moment.asm8.astype("int64")), moment.unit, zone]
    return told if _moment(told) == moment else None


def _moment(plain: list[Any]) -> Any:
    import pandas as pd

    number, unit, zone = plain
    moment = pd.Timestamp(number, unit=unit).as_unit(unit)
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(zone)


def _span(plain: list[Any]) -> Any:
    import pandas as pd

    return pd.Timedelta(plain[0], unit=plain[1]).as_unit(plain[1])


def _missing(name: str) -> Any:
    import pandas as pd

    return getattr(pd, name)


# --- Polars: its own files, which hold no code ---


def _of_polars(frame: Any) -> bytes | None:
    file = BytesIO()
    if any(str(kind) == "Object" for kind in frame.dtypes):
        return None
    frame.write_ipc(file)
    return file.getvalue()


def _polars(plain: bytes) -> Any:
    import polars

    return polars.read_ipc(BytesIO(plain))


_KINDS: dict[str, tuple[Any, Any]] = {
    "pandas.DataFrame": (_of_frame, _frame),
    "pandas.Series": (_of_series, _series),
    **dict.fromkeys(("pandas.Index", "pandas.RangeIndex", "pandas.MultiIndex"), (_of_index, _index)),
    **dict.fromkeys(("pandas.DatetimeIndex", "pandas.TimedeltaIndex", "pandas.CategoricalIndex"), (_of_index, _index)),
    "pandas.Timestamp": (_of_moment, _moment),
    "pandas.Timedelta": (lambda span: [int(span.asm8.astype("int64")), span.unit], _span),
    "pandas.NaTType": (lambda _: "NaT", _missing),
    "pandas.NAType": (lambda _: "NA", _missing),
    "polars.DataFrame": (_of_polars, _polars),
    "polars.Series": (lambda series: _of_polars(series.to_frame()), lambda plain: _polars(plain).to_series()),
}
