"""Code: a piece of Python text in a spec, evaluated in the notebook when the graph is compiled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """An argument that was written as an expression: `customers` in `Enrich(table=customers)`.

    >>> Code("customers").text
    'customers'
    """

    text: str
