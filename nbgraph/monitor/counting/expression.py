"""Expressions of measures: numbers, arithmetic, comparisons, `and`, `or`, `not`; a division by zero is no number."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.safety.expression import parsed

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}


@cache
def names_in(expression: str) -> tuple[str, ...]:
    """The measures that an expression names, each once.

    >>> names_in("error_rate > 0.1 and backlog > 10")
    ('error_rate', 'backlog')
    """
    return tuple(dict.fromkeys(node.id for node in ast.walk(_tree(expression)) if isinstance(node, ast.Name)))


def value_of(expression: str, measures: Mapping[str, float]) -> Any:
    """What an expression comes to.

    >>> value_of("backlog / event_rate > 2", {"backlog": 9.0, "event_rate": 3.0})
    True
    """
    return _value(_tree(expression), measures)


@cache  # it is asked by the clock
def _tree(expression: str) -> ast.expr:
    return parsed(expression, "Rule").body


def _value(node: ast.expr, measures: Mapping[str, float]) -> Any:
    match node:
        case ast.Name(id=name):
            return measures[name]
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(one, measures) for one in values)
        case ast.BoolOp(values=values):
            return any(_value(one, measures) for one in values)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand, measures))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _quotient(op, _value(left, measures), _value(right, measures))
        case ast.Compare(left=left, ops=ops, comparators=others):
            terms = [_value(one, measures) for one in (left, *others)]
            pairs = zip(ops, terms, terms[1:], strict=False)
            return all(_OPERATORS[type(op)](one, other) for op, one, other in pairs)
    raise GraphError(
        f'A rule can\'t use "{ast.unparse(node)}"; expected names of measures, numbers, arithmetic and comparisons.'
    )


def _quotient(op: ast.operator, left: float, right: float) -> float:
    if isinstance(op, ast.Div) and right == 0:
        return math.nan
    return float(_OPERATORS[type(op)](left, right))
