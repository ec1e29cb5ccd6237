"""CORS: which web pages' scripts may call the gateway and read its answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from nbgraph.contract import GATEWAY_FILE, GatewaySpec

ASKED = ["authorization", "content-encoding", "content-type", "idempotency-key", "prefer", "traceparent", "x-event-id",
         "x-request-id", "x-request-timeout"]  # fmt: skip
# What OpenAI's client for browsers sends along.
OF_CHAT = ["openai-organization", "openai-project", *(f"x-stainless-{name}" for name in (
    "arch", "helper-method", "lang", "os", "package-version", "retry-count", "runtime", "runtime-version", "timeout",
))]  # fmt: skip
TOLD = ["location", "preference-applied", "retry-after", "traceparent", "x-event-id", "x-request-id"]
LASTS = 600  # seconds that a browser may go by an answer to its preflight


def origins_of(project: Path) -> list[str]:
    """The origins that a project names."""
    file = project / GATEWAY_FILE
    return list(msgspec.json.decode(file.read_bytes(), type=GatewaySpec).cors) if file.is_file() else []


def sharing(app: Any, origins: Sequence[str], methods: Sequence[str] = ("GET", "POST")) -> Any:
    """The application, which pages of these origins may call; as it is where there are none.

    A browser asks first (OPTIONS), without the key: that is answered here, and reaches no graph.
    """
    if not origins:
        return app
    from starlette.middleware.cors import CORSMiddleware

    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=methods, allow_headers=[*ASKED, *OF_CHAT], expose_headers=TOLD,
        max_age=LASTS,
    )  # fmt: skip
