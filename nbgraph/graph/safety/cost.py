"""Expressions that are short to write and endless to compute: `9 ** 9 ** 9`, `"a" * 10 ** 9`."""

from __future__ import annotations

import ast
import math
import re

LARGEST_EXPONENT = 100
LARGEST_SHIFT = 1_000
LONGEST_SEQUENCE = 100_000
MOST_LOOPS = 3
_SEQUENCES = (ast.List, ast.Tuple, ast.ListComp, ast.JoinedStr, ast.GeneratorExp)
_MAKES_SEQUENCE = frozenset(["str", "list", "tuple", "sorted"])
_MAKES_TEXT = frozenset([
    "capitalize", "casefold", "join", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace",
    "rpartition", "rsplit", "rstrip", "split", "splitlines", "strip", "swapcase", "title", "translate", "upper",
])  # fmt: skip  # a set that reads better in rows


def too_big(tree: ast.AST) -> str | None:
    """Why the expression could fill the memory or never end; None where it can't.

    >>> too_big(ast.parse("9 ** 9 ** 9", mode="eval"))
    'raises to a power that is not a constant of at most 100'
    >>> too_big(ast.parse("event['x'] ** 2 * 1000", mode="eval")) is None
    True
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and (fault := _operator_fault(node)):
            return fault
        if isinstance(node, ast.FormattedValue) and node.format_spec and not _is_short(node.format_spec):
            return "formats with a width that is not a constant of at most 4 digits"
    loops = sum(isinstance(node, ast.comprehension) for node in ast.walk(tree))
    return f"has {loops} loops inside each other" if loops > MOST_LOOPS else None


def _operator_fault(node: ast.BinOp) -> str | None:
    match node.op:
        case ast.Pow():
            exponent = _constant(node.right)
            nested = any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow) for part in ast.walk(node.left))
            if exponent is None or abs(exponent) > LARGEST_EXPONENT or nested:
                return f"raises to a power that is not a constant of at most {LARGEST_EXPONENT}"
        case ast.LShift():
            shift = _constant(node.right)
            if shift is None or shift > LARGEST_SHIFT:
                return f"shifts by more than a constant of at most {LARGEST_SHIFT}"
        case ast.Mult() if _length(node) > LONGEST_SEQUENCE:
            return f"repeats a text or list to more than {LONGEST_SEQUENCE} items"
        case ast.Mod() if isinstance(node.left, ast.Constant | ast.JoinedStr) and not _is_short(node.left):
            return "formats with a width that is not a constant of at most 4 digits"
    return None


def _constant(node: ast.expr) -> float | None:
    """The number that is written out, with its sign."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float() as value)):
            return value
    return None


def _length(node: ast.expr) -> float:
    """How long the text or list is at most that is written out and repeated here; 0 where there is none."""
    match node:
        case ast.Constant(value=str() | bytes() as text):
            return len(text)
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            return _repeated(left, right)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _length(left) + _length(right)
        case ast.IfExp(body=body, orelse=orelse):
            return max(_length(body), _length(orelse))
        case ast.BoolOp(values=values):
            return max(map(_length, values))
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return len(items)
        case ast.Call(func=ast.Name(id=name)) if name in _MAKES_SEQUENCE:
            return 1_000  # as long as a field of the event may well be
        case ast.Call(func=ast.Attribute(attr=name)) if name in _MAKES_TEXT:
            return 1_000
        case ast.Subscript(slice=ast.Slice()):
            return 1_000
    return 1_000 if isinstance(node, _SEQUENCES) else 0


def _repeated(left: ast.expr, right: ast.expr) -> float:
    """The length of `left * right`: endless where a sequence is repeated by a number that only the event knows."""
    for sequence, number in ((left, right), (right, left)):
        length = _length(sequence)
        if length:
            times = _constant(number)
            return math.inf if times is None else length * max(times, 0)
    return 0


def _is_short(node: ast.AST) -> bool:
    """Whether a format is written out and has no width of five digits or one taken from elsewhere."""
    texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    is_dynamic = any(isinstance(part, ast.FormattedValue) for part in ast.walk(node))
    return not is_dynamic and not any(re.search(r"\d{5}|%[^a-zA-Z%]*\*", text) for text in texts)
