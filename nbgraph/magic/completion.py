"""Completion: names of steps in arrow lines, options on the first line; all else is IPython's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from IPython.core.completer import SimpleCompletion, context_matcher

from nbgraph import steps
from nbgraph.deploy.operation.catalogue import deployed_names
from nbgraph.deploy.target import hosts
from nbgraph.graph.builder import OPENAI
from nbgraph.graph.graph import Graph
from nbgraph.graph.language.arrow_line import FORBID
from nbgraph.graph.routes.route import METHODS
from nbgraph.graph.step import Step

IDENTIFIER = "nbgraph"
OPTIONS = (
    "--run",
    "--debug",
    "--check",
    "--deploy",
    "--export",
    "--hide",
    "--build",
    "--max-iterations",
    "--error-stream",
    "--no-copy",
    "--monitor",
    "--api",
)
ENDINGS = ("if", "else", "on error", "on alert", "max")
_STEP = re.compile(r"(?:->|\[|,)\s*(?P<token>\w*)$")  # in an arrow line: where a step is expected
_API = re.compile(r"[^\n]*\s--api\b")  # a first line that enables routes
_ROUTE = re.compile(r"\s*(?:[A-Z]+|\*)\s+/\S*\s*->\s*\w*$")  # a route whose arrow has no target yet
_START = re.compile(r"^\s*(?P<token>\w+)$")
_AFTER_STEP = re.compile(r"->\s*(?:\w+|\[[^\]]*\]|\"[^\"]*\")\s+(?P<token>[a-z]*(?: [a-z]*)?)$")
_DEPLOYED = re.compile(r"\bDeployed\(\s*[\"'](?P<token>[\w-]*)$")  # the name of what it calls
_FUNCTION = re.compile(r"@(?P<token>\w*)$")
_MENTIONED = re.compile(r"->\s*\[?\s*(\w+)|(\w+)(?:@\w+)?\s*\]?\s*->|[,\[]\s*(\w+)(?=[^\n]*->)")


def install(shell: Any) -> None:
    """Complete in the cells of `%%graph`; a second `%load_ext` replaces the first."""

    @context_matcher(identifier=IDENTIFIER)  # type: ignore[untyped-decorator]  # IPython has no types for it
    def match(context: Any) -> dict[str, Any]:
        before = context.text_until_cursor
        text = context.full_text
        if not re.match(r"\s*%{1,2}graph\b", text):
            return {"completions": [], "suppress": False}
        found, token, only = completions(text, context.cursor_line, before, shell.user_ns)
        chosen = [SimpleCompletion(text=name, type=kind) for name, kind in found if name.startswith(token)]
        return {"completions": chosen, "suppress": bool(chosen) and only, "matched_fragment": token, "ordered": True}

    kept = [one for one in shell.Completer.custom_matchers if getattr(one, "matcher_identifier", "") != IDENTIFIER]
    shell.Completer.custom_matchers = [*kept, match]


Found = tuple[list[tuple[str, str]], str, bool]


def completions(text: str, row: int, before: str, namespace: dict[str, Any]) -> Found:
    """(names with their kind, the prefix already typed, whether nothing else is valid) at a place of a cell.

    >>> names, token, only = completions("%%graph g\\nclean -> sc", 1, "clean -> sc", {"score": len})
    >>> [name for name, kind in names if name.startswith(token)], token, only
    (['score'], 'sc', True)
    """
    if row == 0 and text.lstrip().startswith("%"):
        return _first_line(before, namespace)
    if match := _DEPLOYED.search(before):
        return [(name, "deployment") for name in deployed_names()], match["token"], True
    is_arrow = "->" in before and not re.match(r"\s*(?:async\s+)?def\b", before)
    if is_arrow and re.search(r"\bif\b", before.rpartition("->")[2]):
        return [("event", "body")], re.split(r"\W", before)[-1], False
    for pattern, names, only in (
        (_STEP, _steps(text, before, namespace), True),
        (_FUNCTION, _functions(text, before), True),
        (_AFTER_STEP, ((ending, "keyword") for ending in ENDINGS), True),
    ):
        if is_arrow and (match := pattern.search(before)):
            if pattern is _STEP and _ROUTE.match(before):
                names = chain(names, [(FORBID, "keyword")])
            return list(dict(names).items()), match["token"], only
    if start := _START.search(before):
        methods = [(method, "method") for method in METHODS if _API.match(text)]
        return [*methods, *dict(_steps(text, before, namespace)).items()], start["token"], False
    return [], "", False


def _first_line(before: str, namespace: dict[str, Any]) -> Found:
    words = before.split()
    token = "" if before[-1:].isspace() else words[-1]
    previous = words[-1] if not token else words[-2] if len(words) > 1 else ""
    if previous == "--api" and not token.startswith("-"):
        return [(OPENAI, "API")], token, False
    if previous == "--deploy":
        return [(target, "target") for target in hosts()], token, True
    if token.startswith("-") or (not token and previous not in OPTIONS and len(words) > 1):
        return [(option, "option") for option in OPTIONS if option not in words], token, True
    if previous.endswith("graph"):
        return [(name, "graph") for name, value in namespace.items() if isinstance(value, Graph)], token, True
    return [], token, False


def _steps(text: str, before: str, namespace: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The steps mentioned in the cell, the callables of the notebook, the built-in steps."""
    typed = re.split(r"\W", before)[-1]
    yield from ((name, "step") for name in _mentioned(text) if name != typed)
    yield from ((name, "function") for name, value in namespace.items() if name[0] != "_" and _is_handler(value))
    yield from ((name, "built-in") for name in sorted(steps.built_in()))
    yield "respond", "keyword"


def _is_handler(value: Any) -> bool:
    return callable(value) or isinstance(value, Step | Graph)


def _mentioned(text: str) -> Iterable[str]:
    arrows = (line for line in text.split("\n") if "->" in line)
    return dict.fromkeys(name for line in arrows for match in _MENTIONED.findall(line) for name in match if name)


def _functions(text: str, before: str) -> Iterator[tuple[str, str]]:
    typed = re.split(r"\W", before)[-1]
    yield from ((name, "function") for name in re.findall(r"@(\w+)", text) if name != typed)
