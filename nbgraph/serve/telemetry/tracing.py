"""Tracing: the trace context of each event, in and out; spans of OpenTelemetry where it is set up.

Without OpenTelemetry's SDK the trace context is handed on all the same, so that others can join what they record.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextvars import Token
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nbgraph.engine.compile.call import Call
from nbgraph.engine.compile.plan_copy import with_calls
from nbgraph.engine.plan import Plan
from nbgraph.streams import traceparent

if TYPE_CHECKING:
    from opentelemetry.trace import SpanKind, Tracer

SDK = "opentelemetry.sdk.trace"
EXPORTING = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")  # who sets one wants spans exported
log = logging.getLogger("nbgraph.serve")


class Hop:
    """One event's stay in this process; `headers` are those of its span."""

    __slots__ = ("headers",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def __enter__(self) -> Self:
        traceparent.current.set(self.headers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def told(self, status: int) -> None:
        """What the caller was answered."""

    def named(self, request: str) -> None:
        """What the caller calls his request."""


class Tracing:
    """Makes hops, and spans where a tracer is given or was set up by then.

    >>> with Tracing(None).serving("POST", "/", {}) as hop:
    ...     traceparent.trace_id() == hop.headers["traceparent"][3:35]
    True
    """

    def __init__(self, tracer: Tracer | None) -> None:
        self._tracer = tracer
        self.messaging_system = "nats"  # the transport of the queues

    def serving(self, method: str, path: str, headers: Mapping[str, str]) -> Hop:
        """A request that came in."""
        if self._tracer is None:
            return Hop(traceparent.followed(headers))
        from opentelemetry.trace import SpanKind

        attributes = {"http.request.method": method, "url.path": path}
        return _SpanHop(self._tracer, method, SpanKind.SERVER, headers, attributes)

    def taking(self, queue: str, headers: Mapping[str, str]) -> Hop:
        """A message that came over a queue: a child of the span that sent it, and linked to it."""
        if self._tracer is None:
            return Hop(traceparent.followed(headers))
        from opentelemetry.trace import SpanKind

        attributes = {"messaging.system": self.messaging_system, "messaging.destination.name": queue}
        return _SpanHop(self._tracer, f"process {queue}", SpanKind.CONSUMER, headers, attributes)

    def watching(self, plan: Plan) -> Plan:
        """The plan with a span around every step, where spans are recorded."""
        if self._tracer is None:
            return plan
        return with_calls(plan, {name: _spanned(self._tracer, name, step.call) for name, step in plan.steps.items()})


def _spanned(tracer: Tracer, step: str, call: Call) -> Call:
    function = call.function

    async def awaited(body: Any) -> Any:
        with _StepSpan(tracer, step):
            return await function(body)

    def called(body: Any) -> Any:
        with _StepSpan(tracer, step):
            return function(body)

    watched = awaited if call.awaits else called
    return replace(call, function=watched, anew=lambda clock: _spanned(tracer, step, call.anew(clock)))


class _SpanHop(Hop):
    """A hop with a span that begins and ends with it."""

    __slots__ = ("_scope", "_span")

    def __init__(
        self, tracer: Tracer, name: str, kind: SpanKind, headers: Mapping[str, str], attributes: dict[str, str]
    ) -> None:
        from opentelemetry.trace import Link, SpanKind, get_current_span

        parent = _propagator().extract(headers)
        sender = get_current_span(parent).get_span_context()
        links = [Link(sender)] if kind is SpanKind.CONSUMER and sender.is_valid else []
        self._scope = tracer.start_as_current_span(name, parent, kind, attributes, links)

    def __enter__(self) -> Self:
        self._span = self._scope.__enter__()
        self.headers = _injected()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._scope.__exit__(kind, error, traceback)

    def named(self, request: str) -> None:
        self._span.set_attribute("http.request.header.x-request-id", request)

    def told(self, status: int) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)


class _StepSpan:
    """A step's span; what the step sends names it as its parent."""

    __slots__ = ("_scope", "_token")

    def __init__(self, tracer: Tracer, step: str) -> None:
        self._scope = tracer.start_as_current_span(step, attributes={"nbgraph.step": step})
        self._token: Token[Mapping[str, str]] | None = None

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._token = traceparent.current.set(_injected())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            traceparent.current.reset(self._token)
        self._scope.__exit__(kind, error, traceback)


def tracer() -> Tracer | None:
    """The tracer of whoever has set up OpenTelemetry in this process; None where nobody has."""
    if SDK not in sys.modules:
        return None
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    is_set = not isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider)
    return provider.get_tracer("nbgraph") if is_set else None


def set_up(graph: str) -> None:
    """Export spans where the environment names a collector, as OpenTelemetry's own variables do."""
    if not any(os.environ.get(name) for name in EXPORTING) or tracer() is not None:
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("Spans are not exported: %s; add nbgraph[otel] to the requirements.", error)
        return
    name = os.environ.get("OTEL_SERVICE_NAME", graph)
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()


def _injected() -> dict[str, str]:
    carrier: dict[str, str] = {}
    _propagator().inject(carrier)
    return carrier
