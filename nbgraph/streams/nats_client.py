"""The client of NATS, which goes on reading whatever headers somebody has sent."""

from __future__ import annotations

from typing import Any

import nats.aio.client

UNREAD = "Unread-Headers"


class Client(nats.aio.client.Client):
    """Where the client can't read a message's headers it would stop reading at all; here they are shown as they are."""

    async def _process_headers(self, headers: Any) -> dict[str, str] | None:
        try:
            found: dict[str, str] | None = await super()._process_headers(headers)
        except Exception:  # whatever reading foreign bytes comes to
            return {UNREAD: bytes(headers).decode("latin-1")}
        return found
