"""Deployment: a hosted graph in the hand of the person who deployed it."""

from __future__ import annotations

import contextlib
import json
import weakref
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import msgspec

from nbgraph.debug.failure import Failure
from nbgraph.deploy.autoscale import Autoscaler
from nbgraph.deploy.hosted import Hosted, readable
from nbgraph.deploy.process import Process
from nbgraph.deploy.pulse import FunctionPulse, Meter
from nbgraph.errors import DeployError, NbgraphError
from nbgraph.event import Event, is_json
from nbgraph.graph.graph import Graph
from nbgraph.steps.border import event_of
from nbgraph.streams.wire import encode, unpack

if TYPE_CHECKING:
    import pandas


class InvokeError(DeployError):
    """The deployment answered with an error; `status` is HTTP's, `answer` what came with it."""

    def __init__(self, message: str, status: int, answer: Any) -> None:
        super().__init__(message)
        self.status, self.answer = status, answer


class Deployment:
    """A graph that runs outside of the notebook.

    >>> graph = Graph("twice")
    >>> _ = graph.to("(event * 2)").respond()
    >>> with graph.deploy("process", progress=False) as deployment:
    ...     deployment.invoke(21)
    42
    """

    def __init__(self, hosted: Hosted, graph: Graph | None = None, scaler: Autoscaler | None = None) -> None:
        self._hosted, self._scaler = hosted, scaler
        self.graph = graph
        self.name = hosted.request.name
        self.url = hosted.url
        key = hosted.request.api_key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # No proxy of the environment may stand between us and a port of this machine.
        self._caller = httpx.Client(base_url=self.url, headers=headers, timeout=120, trust_env=False)
        self._meter = Meter(hosted)
        weakref.finalize(self, self._caller.close)
        weakref.finalize(self, self._meter.close)
        self._is_stopped = False

    @classmethod
    def attach(cls, name: str, *, graph: Graph | None = None, api_key: str | None = None) -> Deployment:
        """A deployment that runs already, by its own name or its graph's: after a kernel's restart, or in another."""
        hosted: Hosted | None = Process.find(name) or _container(name)
        if hosted is None:
            raise DeployError(f'No running deployment is called "{name}", here or at the Docker daemon.')
        deployment = cls(hosted, graph)
        if api_key is not None:
            deployment._caller.headers["Authorization"] = f"Bearer {api_key}"
        return deployment

    @property
    def functions(self) -> list[str]:
        """The names of its functions; callers reach the first."""
        return self._hosted.functions

    @property
    def metrics_urls(self) -> list[str]:
        """What Prometheus reads, a URL for each worker."""
        return [url for _, url in self._hosted.sources()]

    def invoke(self, body: Any, path: str = "/", headers: Mapping[str, str] | None = None) -> Any:
        """What the deployed graph answers; text and bytes go as they are, all else as JSON."""
        given = dict(headers or {})
        if isinstance(body, str | bytes):
            content = body.encode() if isinstance(body, str) else body
        else:
            content = encode(body)
            given.setdefault("Content-Type", "application/json")
        try:
            response = self._caller.post(path, content=content, headers=given)
        except (httpx.HTTPError, RuntimeError) as error:
            if self._is_stopped:
                raise DeployError(f'Deployment "{self.name}" is stopped; deploy the graph again.') from error
            raise DeployError(f'Deployment "{self.name}" did not answer at {self.url}: {error}') from error
        return _answer(response)

    def status(self) -> pandas.DataFrame:
        """A row for every replica: function, replica, state, restarts, started, image."""
        import dataclasses

        import pandas

        states = [] if self._is_stopped else self._hosted.states()
        return pandas.DataFrame([dataclasses.asdict(state) for state in states])

    def pulse(self) -> dict[str, FunctionPulse]:
        """How each function is doing now: replicas, rate, backlog, errors; quick, and safe to ask from any thread."""
        return {} if self._is_stopped else self._meter.read()

    def logs(self, function: str | None = None, lines: int = 100) -> str:
        """What the workers logged and the steps printed, the last lines."""
        self._check_function(function)
        return readable(self._hosted.logs(lines, function).splitlines())

    def metrics(self) -> pandas.DataFrame:
        """All numbers that Prometheus would read now: function, step, name, value."""
        import pandas
        from prometheus_client.parser import text_string_to_metric_families

        rows = [
            (function, sample.labels.get("step"), sample.name, sample.value)
            for function, url in self._hosted.sources()
            for family in text_string_to_metric_families(httpx.get(url, trust_env=False).text)
            for sample in family.samples
            if not sample.name.endswith(("_bucket", "_created"))
        ]
        return pandas.DataFrame(rows, columns=["function", "step", "name", "value"])

    def failures(self) -> list[Failure]:
        """The events that failed last, the newest first; `graph.debug(failure)` stands before the step that failed."""
        places = [url.replace("/metrics", "/failures") for url in self.metrics_urls]
        found = [failure for place in places for failure in httpx.get(place, trust_env=False).json()]
        kept = [Failure({**failure, "event": _event(failure["event"])}) for failure in found]
        letters = [_failure_of(letter) for letter in self._hosted.letters()]
        return sorted([*kept, *letters], key=lambda failure: float(failure.time), reverse=True)

    def parity(self, events: Iterable[Any]) -> pandas.DataFrame:
        """What the notebook and the deployment answer to the same events, side by side."""
        import pandas

        if self.graph is None:
            raise DeployError(
                f'Deployment "{self.name}" was attached to without its graph; Deployment.attach(name, graph=g).'
            )
        rows = []
        for event in events:
            body = event.body if isinstance(event, Event) else event
            content = encode(body)  # first, since a step may change what it is given
            local = _outcome(lambda event=event: self.graph.run(event))
            deployed = _outcome(lambda content=content: self.invoke(content, headers=_JSON))
            rows.append((msgspec.json.decode(content), local, deployed, _is_equal(local, deployed)))
        return pandas.DataFrame(rows, columns=["event", "local", "deployed", "equal"])

    def scale(self, function: str, n: int) -> None:
        """Run that many replicas of a function."""
        self._check_function(function)
        self._hosted.scale(function, n)

    def stop(self) -> None:
        """End it: events in flight are finished, then nothing of it is left."""
        if not self._is_stopped:
            self._is_stopped = True
            self._caller.close()
            if self._scaler is not None:
                self._scaler.stop()
            self._hosted.stop()

    def view(self) -> pandas.DataFrame:
        """How it is, to look at."""
        return self.status()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._is_stopped else f"at {self.url}"
        return f"<Deployment {self.name!r} on {self._hosted.target}, {state}>"

    def _check_function(self, function: str | None) -> None:
        if function is not None and function not in self.functions:
            raise DeployError(f'There is no function "{function}"; functions: {", ".join(self.functions)}.')


_JSON = {"Content-Type": "application/json"}


def _container(name: str) -> Hosted | None:
    from nbgraph.deploy.docker import Container, connect

    try:
        client = connect()
    except DeployError:
        return None
    found = Container.find(client, name)
    if found is None:
        client.close()
    return found


def _answer(response: httpx.Response) -> Any:
    kind = response.headers.get("content-type", "")
    if response.status_code == 204:
        return None
    answer: Any = response.content
    if is_json(kind):
        answer = msgspec.json.decode(response.content)
    elif kind.startswith("text/"):
        answer = response.text
    if response.is_error:
        reason = answer["error"] if isinstance(answer, dict) and "error" in answer else response.text[:300]
        request = response.request
        message = f"{request.method} {request.url.path} answered {response.status_code}: {reason}"
        raise InvokeError(message, response.status_code, answer)
    return answer


def _event(record: Mapping[str, Any]) -> Event:
    return Event(
        record.get("body"), record.get("key"), record.get("id"), record.get("path") or "/", record.get("method")
    )


def _failure_of(letter: Mapping[str, Any]) -> Failure:
    """The failure that a dead letter tells of: what came to the function, and what the step that failed got."""
    event = event_of(unpack(letter["body"]), letter.get("key"), dict(letter["headers"]))
    told = {name: letter[name] for name in ("step", "error", "trace", "time", "function")}
    return Failure(event=event, **{**told, "trace": [letter["trace"]]}, input=unpack(letter["input"]))


def _outcome(call: Any) -> Any:
    """What came of a call in plain data: its answer, or the error's text."""
    try:
        answer = call()
    except InvokeError as error:
        return {"error": error.answer.get("error") if isinstance(error.answer, dict) else str(error)}
    except NbgraphError as error:
        return {"error": str(error)}
    if answer is None or isinstance(answer, str | bytes):
        return answer
    return json.loads(encode(answer))


def _is_equal(left: Any, right: Any) -> bool:
    """Equal, where numbers may differ in the last digits: another machine adds up in another order."""
    if isinstance(left, float) or isinstance(right, float):
        with contextlib.suppress(TypeError):
            return bool(abs(left - right) <= 1e-9 * max(abs(left), abs(right)))
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_is_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_is_equal, left, right))
    return type(left) is type(right) and bool(left == right)
