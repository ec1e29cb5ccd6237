"""Options: the first line of a cell, `fraud --run {"amount": 120} --hide`, split for an argument parser."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from nbgraph.graph.language.lexer import Token, lines

EXPRESSIONS = ("--run", "--debug", "--check")  # their values are Python, up to the next option


def words(line: str) -> list[str]:
    """The arguments of the line; an expression is one argument, with its spaces and quotes.

    >>> words('fraud --run {"amount": 120} --hide  # one event')
    ['fraud', '--run={"amount": 120}', '--hide']
    """
    found: list[str] = []
    for name, value in _pieces(line):
        if name in EXPRESSIONS:
            found.append(f"{name}={value.removeprefix('=').strip()}")
        else:
            found += ([name] if name else []) + shlex.split(value.removeprefix("="))
    return found


def _pieces(line: str) -> Iterator[tuple[str, str]]:
    """(option, text up to the next one); the first piece has no option."""
    tokens = [token for logical in lines(line) for token in logical.tokens]
    end = tokens[-1].end if tokens else 0
    begins = [number for number in range(len(tokens)) if _begins_option(tokens, number, line)]
    yield "", line[: tokens[begins[0]].start if begins else end]
    stops = [*(tokens[number].start for number in begins[1:]), end]
    for number, stop in zip(begins, stops, strict=False):
        start = tokens[number].start
        name = line[start:stop].split("=")[0].split()[0]
        yield name, line[start + len(name) : stop]


def _begins_option(tokens: list[Token], number: int, line: str) -> bool:
    token = tokens[number]
    is_apart = token.start == 0 or line[token.start - 1].isspace()
    return is_apart and not token.depth and line.startswith("--", token.start) and line[token.start + 2 :][:1].isalpha()
