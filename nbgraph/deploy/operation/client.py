"""Caller: what asks a deployment over HTTP, and makes values of its answers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec

from nbgraph.contract import READY_PATH
from nbgraph.errors import DeployError
from nbgraph.streams.codec.wire import VALUES, read_body, write_body

SECONDS = 120.0
LOOK_SECONDS = 2.0  # for what only is to be shown
WITHOUT_BODY = ("GET", "HEAD", "DELETE", "OPTIONS")


class InvokeError(DeployError):
    """The deployment answered with an error; `status` is HTTP's, `answer` what came with it."""

    def __init__(self, message: str, status: int, answer: Any) -> None:
        super().__init__(message)
        self.status, self.answer = status, answer


class DeploymentClient:
    """Calls from any number of threads; while `held`, those that are refused or cut off wait, and ask again."""

    def __init__(self, url: str, api_key: str | None) -> None:
        # No proxy of the environment may stand between us and a port of this machine; nor need that port prove who it
        # is: its certificate is for the name that others call it by.
        self._client = httpx.Client(base_url=url, timeout=SECONDS, trust_env=False, verify=False)
        self._is_steady = threading.Event()
        self._is_steady.set()
        self.close = self._client.close
        if api_key is not None:
            self.identify(api_key)

    def identify(self, api_key: str) -> None:
        """Send that key from now on."""
        self._client.headers["Authorization"] = f"Bearer {api_key}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """While one gateway gives its place to another, nobody may answer; an event that was begun is finished."""
        self._is_steady.clear()
        try:
            yield
        finally:
            self._is_steady.set()

    def version(self) -> str:
        """The version that the gateway tells of; empty where it does not answer, or knows of none."""
        with contextlib.suppress(httpx.HTTPError, RuntimeError, msgspec.MsgspecError):
            told = msgspec.json.decode(self._client.get(READY_PATH, timeout=LOOK_SECONDS).content)
            return str(told.get("version", "")) if isinstance(told, dict) else ""
        return ""

    def invoke(self, body: Any, path: str, headers: Mapping[str, str], method: str = "POST") -> Any:
        """The answer; an `InvokeError` where it is one."""
        # What goes no further than this machine costs more to be packed than to be sent.
        told = httpx.Headers({"Accept": f"{VALUES}, */*", "Accept-Encoding": "identity"})
        told.update(headers)
        content: bytes | None
        if body is None and method.upper() in WITHOUT_BODY:
            content = None
        elif isinstance(body, str | bytes):
            content = body.encode() if isinstance(body, str) else body
        else:
            content, kind = write_body(body, told.get("content-type"))
            told["content-type"] = kind
        return _answer(self._sent(method, path, content, told))

    def _sent(self, method: str, path: str, content: bytes | None, headers: httpx.Headers) -> httpx.Response:
        while True:
            was_steady = self._is_steady.is_set()
            try:
                response = self._client.request(method, path, content=content, headers=headers)
            except httpx.TransportError:
                if was_steady and self._is_steady.is_set():
                    raise
            else:
                is_refused = response.status_code == httpx.codes.SERVICE_UNAVAILABLE
                if not is_refused or (was_steady and self._is_steady.is_set()):
                    return response
            self._is_steady.wait()


def _answer(response: httpx.Response) -> Any:
    kind = response.headers.get("content-type", "")
    answer = read_body(response.content, kind) if response.status_code != httpx.codes.NO_CONTENT else None
    if response.is_error:
        reason = answer["error"] if isinstance(answer, dict) and "error" in answer else response.text[:300]
        request = response.request
        message = f"{request.method} {request.url.path} answered {response.status_code}: {reason}"
        raise InvokeError(message, response.status_code, answer)
    return answer
