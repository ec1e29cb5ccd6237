"""Traceparent: the W3C trace context of the event at hand, as headers that go with all that is sent on its behalf.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from random import getrandbits
from types import MappingProxyType

HEADER, STATE = "traceparent", "tracestate"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")

# The headers to send along; empty outside of an event that came in from somewhere.
current: ContextVar[Mapping[str, str]] = ContextVar("nbgraph_trace", default=MappingProxyType({}))


def followed(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a new span: of the trace that the given headers tell of, else of a new one.

    >>> given = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1"}
    >>> made = followed(given)
    >>> made["traceparent"][:36], made["traceparent"][-3:], made["tracestate"]
    ('00-0af7651916cd43dd8448eb211c80319c-', '-01', 'a=1')
    >>> followed(given) == made
    False
    """
    given = headers.get(HEADER)
    found = _FORM.fullmatch(given) if given is not None else None
    span = getrandbits(64) or 1  # all zeros would be invalid
    if found is None:
        return {HEADER: f"00-{getrandbits(128) or 1:032x}-{span:016x}-00"}
    told = {HEADER: f"00-{found[1]}-{span:016x}-{found[2]}"}
    if STATE in headers:
        told[STATE] = headers[STATE]
    return told


def trace_id() -> str | None:
    """The trace of the event at hand, for logs."""
    told = current.get().get(HEADER)
    return told[3:35] if told is not None else None
