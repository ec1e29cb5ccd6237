"""Code: a piece of Python text in a spec, evaluated in the notebook when the graph is compiled."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """An argument that was written as an expression: `customers` in `Enrich(table=customers)`.

    >>> Code("customers").text
    'customers'
    """

    text: str


# Spelling: the text of a part of an expression, so that it can stand on its own.


def spelling(node: ast.expr, source: str) -> str:
    """The text as it was written, or written anew where it can't stand alone (lines that only a bracket joined).

    >>> source = 'f(table=a  + b)'
    >>> spelling(ast.parse(source, mode="eval").body.keywords[0].value, source)
    'a  + b'
    """
    text = ast.get_source_segment(source, node) or ""
    try:
        alone = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ast.unparse(node)
    return text if ast.dump(alone) == ast.dump(node) else ast.unparse(node)


def dotted(node: ast.expr) -> str | None:
    """`a.b.c` as text; None for any other expression.

    >>> dotted(ast.parse("json.dumps", mode="eval").body), dotted(ast.parse("a()", mode="eval").body)
    ('json.dumps', None)
    """
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            above = dotted(value)
            return above and f"{above}.{name}"
    return None
