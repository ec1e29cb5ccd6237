"""Selection: a part of a caller's body by its place, `$.order.lines[0].amount`; with `!` behind it it must be there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbgraph.errors import GraphError

_STEP = re.compile(r"""\.([^\W\d][\w-]*)|\[(\d+)\]|\["([^"]+)"\]|\['([^']+)'\]""")
MISSING = object()


@dataclass(frozen=True, slots=True)
class Selection:
    """The keys and positions that lead to a value; `is_required` tells that a body without it is refused.

    >>> Selection.of("$.order.lines[0]!").in_body({"order": {"lines": [7]}})
    7
    """

    text: str
    steps: tuple[str | int, ...]
    is_required: bool

    @classmethod
    def of(cls, text: Any) -> Selection:
        """The selection that a text says."""
        if not isinstance(text, str) or not text.startswith("$"):
            raise GraphError(f'A body takes its parts by their place; found {text!r}, expected a text such as "$.a.b".')
        is_required = text.endswith("!")
        rest = text[1:-1] if is_required else text[1:]
        steps: list[str | int] = []
        at = 0
        while at < len(rest):
            match = _STEP.match(rest, at)
            if match is None:
                raise GraphError(
                    f'`{rest[at:]}` in "{text}" is no place in a body; expected `.name`, `[0]` or `["name"]`.'
                )
            name, number, *quoted = match.groups()
            steps.append(int(number) if number is not None else name or next(filter(None, quoted)))
            at = match.end()
        return cls(text.removesuffix("!"), tuple(steps), is_required)

    def in_body(self, body: Any) -> Any:
        """The value there, or `MISSING`."""
        for step in self.steps:
            is_fitting = isinstance(body, Mapping if isinstance(step, str) else list | tuple)
            try:
                body = body[step] if is_fitting else MISSING
            except (KeyError, IndexError):
                return MISSING
        return body


def selections(body: Any) -> Mapping[str, Selection]:
    """The selections of a mapping, by the names of the new body.

    >>> [selection.is_required for selection in selections({"amount": "$.order.amount!", "note": "$.note"}).values()]
    [True, False]
    """
    if not isinstance(body, Mapping) or not body or not all(isinstance(name, str) and name for name in body):
        raise GraphError(f'A body is {body!r}; expected names and places, such as {{"amount": "$.order.amount!"}}.')
    return {name: Selection.of(text) for name, text in body.items()}


def selected(body: Any, wanted: Mapping[str, Selection]) -> dict[str, Any]:
    """The new body; what is not there is left out."""
    found = {name: selection.in_body(body) for name, selection in wanted.items()}
    return {name: value for name, value in found.items() if value is not MISSING}


def missing(body: Any, wanted: Mapping[str, Selection]) -> list[str]:
    """The places that must be there and are not."""
    return [one.text for one in wanted.values() if one.is_required and one.in_body(body) is MISSING]
