"""Preview: any value as a small tree that JSON can carry; bounded, and made without failing."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from nbgraph.debug.frame import MISSING, Frame
from nbgraph.debug.redact import DOTS, Redaction, redacted
from nbgraph.introspection import attribute, has_attribute
from nbgraph.introspection import shown as text_of
from nbgraph.render.printable import printable
from nbgraph.widgets.values.image import Image, array_figures, array_picture, picture
from nbgraph.widgets.values.rich import html
from nbgraph.widgets.values.table_pages import COLUMNS, ROWS, is_table, reference

Shown = dict[str, Any]
DOTTED: Shown = {"kind": "none", "text": DOTS}  # in the place of a field that is redacted
BYTES, DEPTH, ITEMS, TEXT = 64_000, 6, 100, 2_000
WHOLE = 12_000_000  # bytes of a picture that was asked for
CHANGES = 200  # of a table of differences


@dataclass(slots=True)
class _Budget:
    """How many bytes may still be shown, and which fields are redacted."""

    left: int
    redaction: Redaction | None = None
    is_whole: bool = False  # pictures in their full size

    def hides(self, key: Any) -> bool:
        return self.redaction is not None and key in self.redaction.fields

    def text(self, text: str) -> str:
        return text if self.redaction is None else self.redaction.text(text)

    def take(self, size: int) -> bool:
        self.left -= size
        return self.left > 0


def shown(value: Any, limit: int = BYTES, redaction: Redaction | None = None) -> Shown:
    """The value as `{"kind", "text", ...}`: items of containers, rows of tables, a picture where it has one.

    >>> shown({"a": [1, 2]})
    {'kind': 'dict', 'text': 'dict of 1', 'items': [["'a'", {'kind': 'list', 'text': 'list of 2', 'items': \
[['0', {'kind': 'number', 'text': '1'}], ['1', {'kind': 'number', 'text': '2'}]]}]]}
    """
    if redaction is not None:
        redaction.learn(value)
        redaction = redaction if redaction.fields else None
    return _shown(value, _Budget(limit, redaction), 0, ())


def _shown(value: Any, budget: _Budget, depth: int, above: tuple[int, ...]) -> Shown:
    try:
        return _tree(value, budget, depth, above)
    except Exception as error:  # a value's own __repr__, __len__ or __iter__ may do anything
        return {"kind": "object", "text": f"{type(value).__name__} (not shown: {type(error).__name__})"}


def _tree(value: Any, budget: _Budget, depth: int, above: tuple[int, ...]) -> Shown:
    if value is None or isinstance(value, bool | int | float | complex):
        return _leaf("none" if value is None else "number", _number(value), budget)
    if isinstance(value, str):
        return _text(value, budget)
    if isinstance(value, bytes | bytearray | memoryview):
        return _leaf("bytes", f"{len(value)} bytes: {bytes(value[:40])!r}", budget)
    if id(value) in above:
        return {"kind": "object", "text": f"{type(value).__name__} (contains itself)"}
    if depth >= DEPTH or budget.left <= 0:
        return {"kind": "object", "text": f"{type(value).__name__} …", "deep": True}
    above = (*above, id(value))
    if is_container(value):
        return _branch(value, budget, depth, above)
    return _object(value, budget, depth, above)


def is_container(value: Any) -> bool:
    if isinstance(value, Mapping | list | tuple | Set):
        return True
    return isinstance(value, Sequence) and not isinstance(value, str | bytes) and not has_attribute(value, "dtype")


def _branch(value: Any, budget: _Budget, depth: int, above: tuple[int, ...], start: int = 0) -> Shown:
    items: list[list[Any]] = []
    for key, item in itertools.islice(pairs_of(value, budget), start, start + ITEMS):
        if not budget.take(len(key) + 30):
            break
        items.append([key, dict(DOTTED) if item is DOTTED else _shown(item, budget, depth + 1, above)])
    count = len(value)
    kind = "dict" if isinstance(value, Mapping) else "list"
    tree: Shown = {"kind": kind, "text": f"{type(value).__name__} of {count}", "items": items}
    left = count - start - len(items)
    return {**tree, "more": left} if left else tree


def pairs_of(value: Any, budget: _Budget) -> Iterator[tuple[str, Any]]:
    """The items of a container with what they are called, fields of an object too."""
    if isinstance(value, Mapping):
        return ((_key(key, budget), DOTTED if budget.hides(key) else item) for key, item in value.items())
    if is_container(value):
        return ((str(index), item) for index, item in enumerate(value))
    return ((str(key), DOTTED if budget.hides(key) else item) for key, item in value.__dict__.items())


def part(value: Any, path: Sequence[int], start: int, redaction: Redaction | None = None) -> Shown:
    """What a view has not shown yet: of the item that `path` leads to, by positions, all from `start` on.

    >>> part({"a": [0] * 150}, [0], 148)["items"]
    [['148', {'kind': 'number', 'text': '0'}], ['149', {'kind': 'number', 'text': '0'}]]
    """
    budget = _Budget(BYTES, redaction if redaction is not None and redaction.fields else None, is_whole=True)
    for position in path:
        _, value = next(itertools.islice(pairs_of(value, budget), position, None))
        if value is DOTTED:
            return dict(DOTTED)
    if isinstance(value, str):
        return _text(value, budget, start)
    return _branch(value, budget, 0, (), start) if is_container(value) else _shown(value, budget, 0, ())


def _object(value: Any, budget: _Budget, depth: int, above: tuple[int, ...]) -> Shown:
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if is_table(value):
        return _table(value, budget)
    if (rich := _rich(value, budget)) is not None:
        return rich
    if has_attribute(value, "dtype") and has_attribute(value, "shape"):
        return _array(value, budget)
    fields = attribute(value, "__dict__")
    written: Any = type(value).__repr__
    if isinstance(fields, dict) and fields and written is object.__repr__:
        return {**_branch(fields, budget, depth, above), "text": name}
    if budget.redaction is not None:
        value = budget.redaction.value(value)
    return _leaf("object", printable(budget.text(text_of(value)), TEXT), budget)


def _key(key: Any, budget: _Budget) -> str:
    return printable(budget.text(text_of(key)), 80)


def _table(value: Any, budget: _Budget) -> Shown:
    frame = value.to_frame() if type(value).__name__ == "Series" else value
    fields = budget.redaction.fields if budget.redaction is not None else frozenset()
    frame = redacted(frame, fields)
    columns = [printable(str(column), 80) for column in frame.columns[:COLUMNS]]
    is_pandas = hasattr(frame, "iloc")
    head = frame.iloc[:ROWS, :COLUMNS] if is_pandas else frame[:ROWS, :COLUMNS]
    found = head.itertuples(index=True, name=None) if is_pandas else _numbered(head)
    rows: list[list[str]] = []
    for row in found:
        cells = [printable(budget.text(str(cell)), 200) for cell in row]
        if not budget.take(sum(map(len, cells)) + 8 * len(cells)):
            break
        rows.append(cells)
    more = {"ref": reference(value, budget.redaction)} if len(frame) > len(rows) else {}
    text = f"{type(value).__name__} of {len(frame)} rows, {len(frame.columns)} columns"
    return {"kind": "table", "text": text, "columns": columns, "rows": rows, "total": len(frame), **more}


def _numbered(frame: Any) -> Any:
    """The rows of a polars frame, with their numbers in the place of an index."""
    return ((number, *row) for number, row in enumerate(frame.iter_rows()))


def _rich(value: Any, budget: _Budget) -> Shown | None:
    """The picture or the page that a value makes of itself."""
    made = picture(value, whole=budget.is_whole)
    if made is not None:
        return _image(made, budget)
    text = budget.text(html(value))
    if text and budget.take(len(text)):
        return {"kind": "page", "text": printable(budget.text(text_of(value)), TEXT), "html": text}
    return None


def _image(made: Image, budget: _Budget) -> Shown:
    """A picture: small in a tree, whole where it is asked for; too large for the budget only its words."""
    image: Shown = {"kind": "image", "text": made.words, "type": made.type, "data": ""}
    if made.is_small:
        image["more"] = 1
    size = len(made.data) * 4 // 3
    if made.data and (size < WHOLE if budget.is_whole else budget.take(size)):
        return {**image, "data": base64.b64encode(made.data).decode()}
    return {**image, "more": 1}


def _array(value: Any, budget: _Budget) -> Shown:
    """An array or tensor: its shape and figures, its values, and the picture that it may be."""
    head = f"{type(value).__name__} {value.dtype} {tuple(value.shape)}"
    found: Shown = {"kind": "array", "text": f"{head}{array_figures(value)}", "values": printable(text_of(value), 400)}
    if (made := array_picture(value, whole=budget.is_whole)) is not None:
        found["picture"] = _image(made, budget)
    budget.take(500)
    return found


def _text(value: str, budget: _Budget, start: int = 0) -> Shown:
    value = budget.text(value)[start:]
    kept = value[: min(TEXT, max(40, budget.left))].encode("utf-8", "backslashreplace").decode()
    leaf = _leaf("text", kept, budget)
    return {**leaf, "more": len(value) - len(kept)} if len(value) > len(kept) else leaf


def _leaf(kind: str, text: str, budget: _Budget) -> Shown:
    budget.take(len(text) + 20)
    return {"kind": kind, "text": text}


def _number(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 3000:
        return f"a whole number of {value.bit_length()} bits"
    return printable(repr(value), TEXT)


def differences(before: Any, after: Any, redaction: Redaction | None = None) -> list[list[Any]]:
    """Path, before, after of all that is not the same in both.

    >>> differences({"a": 1, "b": 2}, {"a": 1, "b": 3})
    [['b', {'kind': 'number', 'text': '2'}, {'kind': 'number', 'text': '3'}]]
    """
    if redaction is not None:
        before, after = redaction.value(before), redaction.value(after)
    found = list(Frame("", "", 1, before, after).diff().items())[:CHANGES]
    return [[printable(path or "(all)", 200), _side(old), _side(new)] for path, (old, new) in found]


def _side(value: Any) -> Shown:
    return {"kind": "none", "text": "nothing"} if value is MISSING else shown(value, 8_000)
