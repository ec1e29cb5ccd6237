"""TrackingDict: a dict that knows which of its values may have changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nbgraph.streams.codec.values import DICTS


class TrackingDict(dict[Any, Any]):
    """A dict that notes which of its keys were reached for; a value that nobody reached for is as it was.

    `has_lost` tells whether a key was taken out since `reached` was asked: the order may be another one.

    >>> noted = TrackingDict({"a": [1], "b": [2]})
    >>> noted["a"].append(3)
    >>> noted.reached(), noted.reached()
    (['a'], [])
    """

    __slots__ = ("_keys", "has_lost")

    def __init__(self, items: Any = ()) -> None:
        super().__init__(items)
        self._keys: dict[Any, None] = {}
        self.has_lost = False

    def reached(self) -> list[Any]:
        """The keys since the last time this was asked, in their order."""
        keys = list(self._keys)
        self._keys, self.has_lost = {}, False
        return keys

    def _note(self, keys: Iterable[Any]) -> None:
        self._keys.update(dict.fromkeys(keys))

    def __getitem__(self, key: Any) -> Any:
        self._keys[key] = None
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._keys[key] = None
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self._keys[key], self.has_lost = None, True
        super().__delitem__(key)

    def __iter__(self) -> Iterator[Any]:  # a dict with its own `__iter__` is also copied by `__getitem__`
        return super().__iter__()

    def get(self, key: Any, default: Any = None) -> Any:
        self._keys[key] = None
        return super().get(key, default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        self._keys[key] = None
        return super().setdefault(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        self._keys[key], self.has_lost = None, True
        return super().pop(key, *default)

    def popitem(self) -> tuple[Any, Any]:
        key, value = super().popitem()
        self._keys[key], self.has_lost = None, True
        return key, value

    def update(self, *items: Any, **named: Any) -> None:
        new = dict(*items, **named)
        self._note(new)
        super().update(new)

    def __ior__(self, other: Any) -> TrackingDict:
        self.update(other)
        return self

    def clear(self) -> None:
        self._note(dict.keys(self))
        self.has_lost = True
        super().clear()

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def copy(self) -> dict[Any, Any]:
        self._note(dict.keys(self))
        return dict(dict.items(self))

    def values(self) -> Any:
        self._note(dict.keys(self))
        return super().values()

    def items(self) -> Any:
        self._note(dict.keys(self))
        return super().items()


DICTS.add(TrackingDict)
