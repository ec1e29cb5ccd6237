"""Request id: what a caller calls his request by (`X-Request-Id`); it is in the answer, the logs and the spans."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar

HEADER = "x-request-id"
_FORM = re.compile(r"[\x21-\x7e]{1,200}")  # what may stand in a header and a line of a log

current: ContextVar[str | None] = ContextVar("nbgraph_request_id", default=None)


def of_headers(headers: Mapping[str, str]) -> str | None:
    """The request's id; None where it has none, or one that can't be sent back.

    >>> of_headers({"x-request-id": "r-1"}), of_headers({"x-request-id": "r 1"}), of_headers({})
    ('r-1', None, None)
    """
    given = headers.get(HEADER)
    return given if given is not None and _FORM.fullmatch(given) else None
