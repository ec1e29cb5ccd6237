"""Header: the first line of a cell, `%%graph NAME --max-iterations N --error-stream X`."""

from __future__ import annotations

import argparse
import ast
import json
import re
import shlex
from dataclasses import dataclass
from typing import Any, NoReturn

from nbgraph.errors import GraphError
from nbgraph.graph.builder import OPENAI
from nbgraph.graph.documents import argument
from nbgraph.graph.documents.literal import NotLiteralError, plain, quoted, value_of
from nbgraph.graph.facade import monitor_named, monitor_of
from nbgraph.graph.graph import Graph
from nbgraph.graph.language.step_call import Calls

_CALL_ENDS = (")", '"', "'")  # the end of an expression that is not a bare name
ROUTES = "routes"  # `--api`: by the routes of the cell's lines, or as OpenAI's
MOST = 100  # iterations, by default


@dataclass(frozen=True)
class Header:
    """The options of the graph on the first line of a cell."""

    name: str
    max_iterations: int = MOST
    error_stream: Any = None
    copy: bool = True
    api: str | None = None
    watched: Any = None


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GraphError(
            f"{message}; expected `%%graph NAME [--max-iterations N] [--error-stream X] [--no-copy] [--api [openai]] "
            "[--monitor [BASELINE]]`."
        )


def read_header(rest: str, calls: Calls) -> Header:
    """The header that the text behind `%%graph` gives.

    >>> from nbgraph.graph.safety.admission import Admission
    >>> from nbgraph.graph.scope import Scope
    >>> read_header("fraud --max-iterations 3", Calls(Admission(Scope()), parse=None))
    Header(name='fraud', max_iterations=3, error_stream=None, copy=True, api=None, watched=None)
    """
    parser = _Options(add_help=False, allow_abbrev=False)
    parser.add_argument("name")
    parser.add_argument("--max-iterations", type=int, default=MOST)
    parser.add_argument("--error-stream")
    parser.add_argument("--no-copy", action="store_true")
    parser.add_argument("--api", nargs="?", const=ROUTES, choices=(ROUTES, OPENAI))
    parser.add_argument("--monitor", nargs="?", const="")
    try:
        given = parser.parse_args(shlex.split(rest, comments=True))
    except ValueError as error:
        raise GraphError(f"{error} in the `%%graph` line.") from None
    name, most, stream = given.name, given.max_iterations, given.error_stream
    return header_of(name, most, stream, calls, copy=not given.no_copy, api=given.api, monitor=given.monitor)


def header_of(
    name: str,
    max_iterations: int,
    stream: str | None,
    calls: Calls,
    *,
    copy: bool = True,
    api: str | None = None,
    monitor: str | None = None,
) -> Header:
    """The header of parsed options."""
    if max_iterations < 1:
        raise GraphError(f"--max-iterations is {max_iterations}; expected a whole number of at least 1.")
    name = _text(name)
    if not name:
        raise GraphError("the name of the graph is empty; expected `%%graph NAME`.")
    return Header(name, max_iterations, _stream(stream, calls), copy, api, _monitor(monitor, calls))


def header_text(graph: Graph) -> str:
    """The first line of a graph's text.

    >>> print(header_text(Graph("my graph", max_iterations=3)))
    %%graph 'my graph' --max-iterations 3
    """
    parts = ["%%graph", _word(graph.name)]
    if graph.max_iterations != MOST:
        parts.append(f"--max-iterations {graph.max_iterations}")
    if graph.error_stream is not None:
        parts.append(f"--error-stream {_stream_text(graph)}")
    if not graph.copy:
        parts.append("--no-copy")
    if graph.protocol is not None or graph.routes:
        parts.append(f"--api {graph.protocol}" if graph.protocol is not None else "--api")
    if graph.watched is not None:
        parts.append(f"--monitor {_monitor_text(graph)}".rstrip())
    return " ".join(parts)


def _monitor(text: str | None, calls: Calls) -> Any:
    """What `--monitor` says: nothing more, a name of the notebook, or all of it as JSON."""
    if text is None:
        return None
    if not text or text.startswith("{"):
        try:
            return monitor_of(value_of(json.loads(text or "{}"), {}))
        except (ValueError, NotLiteralError) as error:
            raise GraphError(f"--monitor {text[:40]}... can't be read: {error}") from None
    names = calls.admission.scope.namespace
    if text not in names:
        raise GraphError(
            f'--monitor names "{text}", which is not known; make it first: {text} = graph.profile(stream).'
        )
    return monitor_named(names[text], text)


def _monitor_text(graph: Graph) -> str:
    """A name of the notebook that means the same, else all of it."""
    watched = graph.watched
    assert watched is not None
    document = watched.to_plain()
    if not document:
        return ""
    for name, found in graph.scope.namespace.items():
        if found is watched or (found is watched.baseline and found is not None and document.keys() == {"baseline"}):
            return name
    return shlex.quote(json.dumps(plain(document)))


def _word(text: str) -> str:
    """A text as one word of the line; in quotes within quotes where a shell's quoting does not reach."""
    if re.fullmatch(r"[^\W\d][\w.-]*", text):
        return text
    return shlex.quote(text if text.isprintable() and text[0] not in "\"'-" else quoted(text))


def _text(word: str) -> str:
    """The text of a word that `_word` wrote."""
    if word[:1] in ("'", '"'):
        try:
            return str(ast.literal_eval(word))
        except (SyntaxError, ValueError):
            pass
    return word


def _stream(text: str | None, calls: Calls) -> Any:
    """What `--error-stream` names: a function or step of the notebook, or a call such as `Queue("errors")`."""
    if text is None or not text.endswith(_CALL_ENDS):
        return text and calls.admission.handler(_text(text), "--error-stream")
    source = f"f({text})"
    try:
        call = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError):
        return text
    if isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords:
        return calls.argument(call.args[0], source)
    return text


def _stream_text(graph: Graph) -> str:
    stream = argument.stream(graph.error_stream)
    if isinstance(stream, str):
        return _word(stream) if not stream.endswith(_CALL_ENDS) else shlex.quote(quoted(stream))
    try:
        return shlex.quote(argument.value_text(stream))
    except NotLiteralError as error:
        raise GraphError(argument.no_text(f'The error_stream of graph "{graph.name}"', str(error))) from None
