"""Records of unhandled errors, sent to the error stream of a graph."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.compile.bind import named, value_of
from nbgraph.errors import GraphError, NbgraphError, StepError, own, text_of
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.graph.scope import Code
from nbgraph.handler import Handler

Report = Callable[[StepError], None]
_logger = logging.getLogger("nbgraph.errors")


def record_of(error: StepError) -> dict[str, Any]:
    """An unhandled error as plain data."""
    return {
        "event": {"id": error.event.id, "key": error.event.key, "path": error.event.path, "body": error.event.body},
        "step": error.step,
        "message": text_of(error.__cause__),
        "type": type(error.__cause__).__name__,
        "traceback": "".join(traceback.format_exception(error.__cause__)),
    }


def target_of(graph: Graph) -> Any:
    """The error stream; if it is a name, the object it refers to."""
    if not isinstance(graph.error_stream, str):
        return graph.error_stream
    try:
        return named(graph.error_stream, graph.scope)
    except GraphError as error:
        raise GraphError(f'The error_stream of graph "{graph.name}": {error}') from None


def reporter(graph: Graph) -> Report | None:
    """The function that sends a record of each unhandled error to the graph's `error_stream`; None without one.

    >>> records = []
    >>> graph = Graph("inverse", error_stream=records.append)
    >>> _ = graph.to(lambda body: 1 / body, "inverse")
    >>> try:
    ...     graph.run(0)
    ... except StepError:
    ...     records[0]["step"], records[0]["message"]
    ('inverse', 'division by zero')
    """
    target = target_of(graph)
    if target is None:
        return None
    if isinstance(target, Code):  # `--error-stream 'Queue("errors")'`
        target = value_of(target, graph.scope, "error_stream")
    write = target.do if isinstance(target, Handler) else target
    if not callable(write):
        raise GraphError(
            f'Graph "{graph.name}" has {target!r} as its error_stream; expected a Target, a Queue, a function of the '
            "record, or the name of one."
        )

    def report(error: StepError) -> None:
        try:
            sent = write(record_of(error))
            if inspect.isawaitable(sent):
                loop.submit(_waited(sent))
        except own():  # a failure of the stream must not hide the error, nor affect the next event
            _logger.exception('The error stream of graph "%s" failed', graph.name)

    return report


def report_message(graph: Graph, step: str, event: Any, message: str) -> None:
    """Report an error of an event that still goes on: to the log, and to the graph's error stream."""
    logging.getLogger(f"nbgraph.{graph.name}.{step}").error("%s", message)
    if (report := reporter(graph)) is not None:
        report(StepError(step, event if isinstance(event, Event) else Event(event), NbgraphError(message)))


async def _waited(sent: Any) -> None:
    await sent
