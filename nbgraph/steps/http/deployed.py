"""Deployed: a step that calls a graph which is deployed, by its name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from nbgraph.contract import DEPLOYMENT_HEADER, KEYS_VARIABLE, PLACES_VARIABLE, VERSION_HEADER, places_in, secret_path
from nbgraph.errors import GraphError, NbgraphError
from nbgraph.event import Event
from nbgraph.graph.documents.catalogue import GraphCatalogue, checked_version
from nbgraph.handler import Handler
from nbgraph.steps.arguments import seconds, whole
from nbgraph.steps.optional import package
from nbgraph.steps.runtime.loop_thread import PerLoop, pause, send_off
from nbgraph.streams import traceparent
from nbgraph.streams.codec.wire import VALUES, read_body, write_body
from nbgraph.streams.event_context import seconds_left
from nbgraph.types import Section, Shape

__all__ = ["Deployed", "DeployedError"]

PASSING = frozenset({421, 429, 502, 503})  # answers of a gateway that may be another one a moment later
FIRST_PAUSE = 0.1  # seconds before the second try; they double with each further one
NO_CONTENT = 204
CONNECT_SECONDS = 5.0
TEXT = "text/plain; charset=utf-8"
EXCERPT = 300  # characters of an answer that an error tells
LONGEST_ID = 180  # characters of the event's id that go along
_NO_ID = re.compile(r"[^\w.:-]", re.ASCII)


class DeployedError(NbgraphError):
    """The deployment that a step called came to an error, or could not be reached.

    Parameters
    ----------
    message
        What happened.
    deployment
        Name of the deployment.
    version
        The version that answered; None where none did.
    step
        The step of it that failed, where one did.
    event
        The id of the event there.
    status
        HTTP status of the answer; None where there was none.
    """

    section: ClassVar[Section] = Section.REMOTE

    def __init__(
        self, message: str, deployment: str, *, version: str | None = None, step: str | None = None,
        event: str | None = None, status: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.deployment, self.version, self.step, self.event, self.status = deployment, version, step, event, status


class Deployed(Handler):
    """Call the deployment of that name; its answer replaces the body.

    >>> from nbgraph import Graph
    >>> graph = Graph("checkout")
    >>> _ = graph.to(Deployed("scoring")).respond()
    >>> _ = Graph("audit").to(Deployed("scoring", version="1.2", timeout=5), "score")

    It is looked up in the catalogue whenever an event comes, so an update of it, or another deployment of the same
    name, is taken at once; with a `version` any other is an error, before the event is worked on. A name is that of a
    deployment, or of a graph that is deployed once. The event's id, its trace and what is left of its deadline go
    along. What fails on the way is tried again, under one id, so that the event is worked on once; what fails there is
    an error of this step, `DeployedError`, that names the deployment, its step and the event there. An event that is
    answered by nothing there goes on as None.

    Parameters
    ----------
    name
        Name of the deployment, and of the step where it has no other.
    version
        The version that must run; None: any.
    path
        Path with its query, for a graph with routes.
    method
        HTTP method, for a graph with routes.
    timeout
        Seconds for the answer, further tries included.
    retries
        Further tries while it can't be reached, or takes no events.
    max_in_flight
        Events under way at once; None: the step's own concurrency.
    """

    section = Section.REMOTE
    io = "the network"
    shape = Shape.EVENT
    is_named_first = True
    calls_deployment = True

    def __init__(
        self,
        name: str,
        version: str | None = None,
        *,
        path: str = "/",
        method: str = "POST",
        timeout: float = 30,
        retries: int = 7,
        max_in_flight: int | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise GraphError(f'Deployed got name={name!r}; expected the name of a deployment: Deployed("scoring").')
        if not isinstance(path, str) or not path.startswith("/"):
            raise GraphError(f'Deployed("{name}") got path={path!r}; expected a path, such as "/users/7".')
        self.name, self.version = name, checked_version(version) if version is not None else None
        self._path, self._method = path, method.upper()
        self._timeout = seconds("Deployed", "timeout", timeout) or 0.0
        self._retries = whole("Deployed", "retries", retries, 0)
        self.concurrency = whole("Deployed", "max_in_flight", max_in_flight) if max_in_flight is not None else None
        self._clients: PerLoop[Any] = PerLoop(self._made_client)

    async def do(self, event: Event) -> Event:
        event.body = await self._answer(_DeploymentRequest(self, event))
        return event

    async def _answer(self, request: _DeploymentRequest) -> Any:
        attempt = 0
        while True:
            try:
                return await self._once(request)
            except _UnreachedError as error:
                wait = pause(attempt, FIRST_PAUSE)
                if attempt >= self._retries or wait >= request.left():
                    raise error.told from error.__cause__
                attempt += 1
                await asyncio.sleep(wait)

    async def _once(self, request: _DeploymentRequest) -> Any:
        httpx = package("httpx", "Deployed")
        place, left = place_of(self.name), request.left()
        if left <= 0:
            raise request.error("has no time left", status=504)
        options = {"content": request.content, "headers": request.headers(place, left)}
        limit = httpx.Timeout(left, connect=min(left, CONNECT_SECONDS))
        client = self._clients.here()[place.is_local]
        try:
            response = await client.request(self._method, f"{place.url}{self._path}", timeout=limit, **options)
        except httpx.ConnectTimeout as error:
            raise _UnreachedError(request.error(f"does not answer at {place.url}")) from error
        except httpx.TimeoutException as error:
            raise request.error(f"gave no answer within {left:.3g} seconds", status=504) from error
        except httpx.TransportError as error:
            why = f"does not answer at {place.url}: {error or type(error).__name__}; it may have ended"
            raise _UnreachedError(request.error(why)) from error
        return request.answer(response, place.url)

    def _made_client(self) -> Mapping[bool, Any]:
        """A client for this machine, whose deployments have certificates for other names, and one for all others."""
        httpx = package("httpx", "Deployed")
        pair = {is_local: httpx.AsyncClient(verify=not is_local, trust_env=not is_local) for is_local in (True, False)}
        for client in pair.values():
            weakref.finalize(self, _hang_up, client, asyncio.get_running_loop())
        return pair


class _UnreachedError(NbgraphError):
    """What may be otherwise a moment later; `told` is what to raise where it is not."""

    def __init__(self, told: DeployedError) -> None:
        super().__init__(str(told))
        self.told = told


class _DeploymentRequest:
    """One event on its way to a deployment, and back."""

    def __init__(self, step: Deployed, event: Event) -> None:
        self._step = step
        self.content, self._kind = _packed(event.body)
        # One for all tries, so that it is worked on once; another for each call, since an event may call several times.
        self._id = f"{_NO_ID.sub('_', event.id)[:LONGEST_ID]}:{secrets.token_hex(4)}"
        left = seconds_left()
        self._end = time.monotonic() + (step._timeout if left is None else min(step._timeout, left))

    def left(self) -> float:
        return self._end - time.monotonic()

    def headers(self, place: DeployedPlace, left: float) -> dict[str, str]:
        step = self._step
        return {
            **traceparent.current.get(),
            DEPLOYMENT_HEADER: step.name, **({VERSION_HEADER: step.version} if step.version is not None else {}),
            "X-Event-Id": self._id, "X-Request-Timeout": f"{left:.3f}", "Content-Type": self._kind,
            "Accept": f"{VALUES}, */*", "Accept-Encoding": "identity",
            **({"Authorization": f"Bearer {place.api_key}"} if place.api_key else {}),
        }  # fmt: skip

    def answer(self, response: Any, url: str) -> Any:
        """What the deployment answered; an error where that is one, or where something else answered."""
        name, version = response.headers.get(DEPLOYMENT_HEADER), response.headers.get(VERSION_HEADER)
        status, kind = response.status_code, response.headers.get("content-type", "")
        if response.is_success and name is None:
            raise _UnreachedError(self.error(f"is not what answers at {url}", status=status))
        if response.is_success:
            return read_body(response.content, kind) if status != NO_CONTENT else None
        told = _told(response)
        where = [f"version {version}" if version else "", f"event {told.get('event', self._id)}"]
        error = self.error(
            f"answered {status} ({', '.join(filter(None, where))}): {told['error']}",
            version=version, step=told.get("step"), event=told.get("event", self._id), status=status,
        )  # fmt: skip
        raise _UnreachedError(error) if status in PASSING else error

    def error(self, why: str, **facts: Any) -> DeployedError:
        return DeployedError(f'Deployment "{self._step.name}" {why}', self._step.name, **facts)


def _packed(body: Any) -> tuple[bytes, str]:
    """A text as one, so that nobody reads JSON in it; all else as between notebook and deployment."""
    return (body.encode("utf-8", "replace"), TEXT) if isinstance(body, str) else write_body(body)


def _told(response: Any) -> dict[str, Any]:
    """What an error's answer says of it, whoever has sent it."""
    with contextlib.suppress(ValueError):
        told = response.json()
        if isinstance(told, dict) and "error" in told:
            return told
    return {"error": response.text[:EXCERPT]}


@dataclass(frozen=True, slots=True)
class DeployedPlace:
    """Where a deployment is called, and by which key."""

    url: str
    api_key: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the way leads over this machine only; a host without dots is another container's."""
        host = urlsplit(self.url).hostname or ""
        return host in ("127.0.0.1", "::1", "localhost", "host.docker.internal") or "." not in host


def place_of(name: str) -> DeployedPlace:
    """Where `NBGRAPH_DEPLOYED` says that it is, as in a container; else where the catalogue says."""
    told = places_in(os.environ.get(PLACES_VARIABLE, ""))
    if name in told:
        return DeployedPlace(told[name].rstrip("/"), places_in(_keys()).get(name))
    running = GraphCatalogue.here().named(name)
    return DeployedPlace(running.url, running.api_key)


def _keys() -> str:
    """The keys, from the environment or the secret of that name."""
    file = Path(secret_path(KEYS_VARIABLE))
    return os.environ.get(KEYS_VARIABLE) or (file.read_text(encoding="utf-8") if file.is_file() else "")


def _hang_up(client: Any, loop: asyncio.AbstractEventLoop) -> None:
    send_off(client.aclose(), loop)
