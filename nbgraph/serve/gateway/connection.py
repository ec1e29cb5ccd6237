"""Connection: one caller's socket; what it may cost is bounded before anybody knows who calls.

Uvicorn's protocol parses in C and has no limits of its own on headers: an endless one costs the square of its length,
and a half-sent one keeps a socket open for ever. Here a head has a size, a number of headers and a time; of too many
connections those go first that have said nothing whole. A request that is answered before it was read to its end is
read on for a moment, since a socket closed with unread bytes takes the answer away from its caller (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nbgraph.serve.gateway.limits import Limits, RefusedError

LINGER = 2.0  # seconds that an answered request is read on
JOINED_BYTES = 64 * 1024  # of a piece that is joined with the one before
VERSIONS = ("1.0", "1.1")
ONCE = (
    b"authorization",
    b"host",
    b"content-length",
    b"x-event-id",
    b"idempotency-key",
)  # two of them contradict each other


class Connection(HttpToolsProtocol):
    """See the module's docstring.

    Parameters
    ----------
    limits
        `header_bytes`, `header_count` and `header_seconds` bound a request's head, `connections` how many are open.
    given
        What uvicorn gives every protocol: its configuration and the state of its server.
    """

    def __init__(self, limits: Limits, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._is_in_head = True  # between two requests, and until the head of one is whole
        self._head_bytes = 0
        self._refusal: RefusedError | None = None
        self._timer: asyncio.TimerHandle | None = None  # runs while a head has begun and is not whole
        self._is_lingering = False
        self._since = self.loop.time()

    # --- the socket ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._closing = ClosingConnection(transport, self._close, self.loop)
        super().connection_made(cast(asyncio.Transport, self._closing))
        self._timer = self.loop.call_later(self._limits.header_seconds, self._head_is_late)
        if len(self.connections) > self._limits.connections and not self._make_room():
            self._refuse(
                RefusedError(503, f"{self._limits.connections} connections are open, the most that are taken.")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:  # refused already; a little more is read for the socket's sake, not what never ends
            self._head_bytes += len(data)
            if self._head_bytes > 4 * self._limits.header_bytes:
                self.transport.pause_reading()
            return
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes:
            if self._head_bytes > self._limits.header_bytes:
                self._refuse(_too_large(self._limits))
            elif self._timer is None and not self._is_lingering:
                self._timer = self.loop.call_later(self._limits.header_seconds, self._head_is_late)

    # --- the parser's findings ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > self._limits.header_count:
            raise self._refused(_too_many(self._limits))

    def on_headers_complete(self) -> None:
        if self._head_bytes > self._limits.header_bytes and self._size() > self._limits.header_bytes:
            raise self._refused(_too_large(self._limits))
        self._stop_timer()
        self._is_in_head, self._head_bytes = False, 0
        self._check_head()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_in_head = True
        self._stop_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_in_head and self._timer is None:  # answered before its body was there: that may still come
            self._timer = self.loop.call_later(LINGER, self._end)

    def _size(self) -> int:
        """The bytes of a whole head, without what came behind it."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)  # ": ", the line's end

    def _check_head(self) -> None:
        version = self.parser.get_http_version()
        if version not in VERSIONS:
            raise self._refused(RefusedError(505, f"HTTP/{version} is not spoken here; expected HTTP/1.1."))
        names = [name for name, _ in self.headers]
        for name in ONCE:
            if names.count(name) > 1:
                raise self._refused(RefusedError(400, f"The header {name.decode()} stands twice."))
        if version == "1.1" and b"host" not in names:
            raise self._refused(RefusedError(400, "The request has no Host header."))

    # --- refusing ---

    def _refused(self, refusal: RefusedError) -> RefusedError:
        """The refusal, to be raised out of the parser, which then asks for `send_400_response`."""
        self._refusal = refusal
        return refusal

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal or RefusedError(400, "The request is not HTTP."))

    def _refuse(self, refusal: RefusedError) -> None:
        """Answer as the gateway does and close, unless an answer is under way already."""
        if self.transport.is_closing() or self._is_lingering:
            return
        if self.cycle is None or self.cycle.response_complete:
            body = json.dumps({"error": str(refusal)}).encode()
            more = b"retry-after: 2\r\n" if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE else b""
            line = b"HTTP/1.1 %d %s\r\n" % (refusal.status, HTTPStatus(refusal.status).phrase.encode())
            kind = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
            self.transport.write(line + kind + more + b"connection: close\r\n\r\n" + body)
        self._linger()

    def _head_is_late(self) -> None:
        self._timer = None
        if self._is_in_head and (self.cycle is None or self.cycle.response_complete):
            seconds = self._limits.header_seconds
            self._refuse(RefusedError(408, f"The headers did not arrive within {seconds:g} seconds."))

    def _make_room(self) -> bool:
        """Close the connection that has waited longest without a request; whether there was one."""
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self]
        oldest = min((one for one in others if one.is_silent), key=lambda one: one._since, default=None)
        if oldest is not None:
            oldest.transport.abort()
        return oldest is not None

    @property
    def is_silent(self) -> bool:
        """Whether nothing is asked on this connection, or only a part of a head has come."""
        is_idle = self.cycle is None or self.cycle.response_complete
        return self._is_in_head and is_idle and not self.transport.is_closing()

    # --- closing ---

    def _end(self) -> None:
        self._closing.end()

    def _close(self) -> None:
        """Close once the answer can be read: at once after a whole request, else after a moment."""
        if self._is_in_head and not self._head_bytes:
            self._end()
        else:
            self._linger()

    def _linger(self) -> None:
        if self._is_lingering:
            return
        self._is_lingering = True
        self._stop_timer()
        self._unset_keepalive_if_required()
        if not self.transport.can_write_eof():  # over TLS the answer's end can't be told apart from the connection's
            self._end()
            return
        self.transport.write_eof()
        self.transport.resume_reading()
        self.loop.call_later(LINGER, self._end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ClosingConnection:
    """A transport whose `close` is the connection's; it holds a piece back until the next, or a turn of the loop.

    The head of an answer and its body come one behind the other; written apart, each costs a call of the system.
    """

    def __init__(
        self, transport: asyncio.Transport, close: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.close = close
        self._transport, self._loop = transport, loop
        self._held = b""
        for name in (
            "can_write_eof", "is_closing", "abort", "get_extra_info", "pause_reading", "resume_reading",
            "set_protocol",
        ):  # fmt: skip
            setattr(self, name, getattr(transport, name))  # once, so that a call costs what it did

    def write(self, data: bytes) -> None:
        """Never more than one piece is held, so that a caller who reads slowly is felt as without."""
        if not self._held:
            self._held = data
            self._loop.call_soon(self.flush)
        elif len(data) > JOINED_BYTES:
            self.flush()
            self._transport.write(data)
        else:
            held, self._held = self._held, b""
            self._transport.write(held + data)

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def end(self) -> None:
        """Close, behind what is still to be written."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Write what is held; nothing goes to a connection that was given up."""
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)


def configuration(app: Any, limits: Limits, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Config:
    """How uvicorn serves the gateway; over TLS where it has a certificate (PEM, with the chain) and its key."""
    protocol: Any = partial(Connection, limits)  # uvicorn calls it as it would call the class
    return uvicorn.Config(
        app, http=protocol, lifespan="off", ws="none", log_config=None, access_log=False, server_header=False,
        timeout_keep_alive=30, timeout_graceful_shutdown=2,
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip


def _too_large(limits: Limits) -> RefusedError:
    return RefusedError(431, f"The headers are longer than {limits.header_bytes} bytes, the most that is taken.")


def _too_many(limits: Limits) -> RefusedError:
    return RefusedError(431, f"There are more than {limits.header_count} headers, the most that are taken.")
