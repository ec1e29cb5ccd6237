"""Chat: a graph behind OpenAI's API: chat completions, whole or in chunks, and the graph as a model.

The graph gets the request as its body. Its answer, a text, a message, several texts, or the whole
object, is put into OpenAI's form here, for the kernel and the gateway alike.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbgraph.errors import NbgraphError, RequestError
from nbgraph.event import Event
from nbgraph.introspection import shown

if TYPE_CHECKING:
    from nbgraph.engine.plan import Plan

BEGIN = "/v1/"
COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/models"
WHOLE, CHUNK = "chat.completion", "chat.completion.chunk"
INVALID, SERVER = "invalid_request_error", "server_error"
OWNER = "nbgraph"
_MESSAGE = {"role", "content", "tool_calls", "refusal"}
_TOKEN = re.compile(r"\w+|[^\w\s]")


class ChatError(RequestError):
    """A request that OpenAI's API would refuse; `param` is the field at fault, `code` the kind of fault."""

    def __init__(self, message: str, status: int = 400, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, status)
        self.param, self.code = param, code


def document_of(message: str, kind: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's form.

    >>> document_of("no", INVALID)
    {'error': {'message': 'no', 'type': 'invalid_request_error', 'param': None, 'code': None}}
    """
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def is_for(event: Event) -> bool:
    """Whether the event is a request in OpenAI's form; others are events as of any graph."""
    return event.path.startswith(BEGIN)


def answer(plan: Plan, event: Event) -> Any:
    """The answer to a request, as a whole object."""
    return asked_about(plan.name, event) or completed(plan, event).whole()


def answers(plan: Plan, event: Event) -> Iterator[Any]:
    """The chunks if the request asks for a stream, else the whole object."""
    found = asked_about(plan.name, event)
    if found is not None:
        yield found
        return
    completion = Completion(event, plan.name)
    if not completion.is_stream:
        yield completed(plan, event).whole()
        return
    yield completion.first()
    for given in _given(plan, event):
        yield from completion.take(given)
    yield from completion.last()


def completed(plan: Plan, event: Event) -> Completion:
    """The completion, with all that the graph answers."""
    completion = Completion(event, plan.name)
    for given in _given(plan, event):
        completion.take(given)
    return completion


def models(name: str, path: str) -> dict[str, Any] | None:
    """The graph as the one model there is, by the paths for models; None for other paths.

    >>> models("tutor", "/v1/models")["data"][0]["id"]
    'tutor'
    """
    model = {"id": name, "object": "model", "created": _began, "owned_by": OWNER}
    if path == MODELS:
        return {"object": "list", "data": [model]}
    if not path.startswith(f"{MODELS}/"):
        return None
    _check_model(path.removeprefix(f"{MODELS}/"), name)
    return model


class Completion:
    """The completion of one request: takes the graph's answers, gives chunks or the whole object.

    >>> completion = Completion(Event({"messages": [{"role": "user", "content": "Hi"}]}, id="e1"), "tutor")
    >>> _ = completion.take("Hel"), completion.take("lo")
    >>> whole = completion.whole()
    >>> whole["choices"][0]["message"], whole["usage"]
    ({'role': 'assistant', 'content': 'Hello'}, {'prompt_tokens': 1, 'completion_tokens': 1, 'total_tokens': 2})
    """

    def __init__(self, event: Event, name: str) -> None:
        self._request = _checked(event.body, name)
        self._head = {"id": f"chatcmpl-{event.id}", "created": int(time.time()), "model": name}
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._exact: dict[str, Any] | None = None  # the whole object, if the graph answers with one
        self._finish: str | None = None
        self._usage: Any = None

    @property
    def is_stream(self) -> bool:
        """Whether the caller wants chunks."""
        return bool(self._request.get("stream"))

    def first(self) -> dict[str, Any]:
        """The first chunk of a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def take(self, given: Any) -> list[dict[str, Any]]:
        """Take one more answer of the graph; its chunks."""
        if given is None:
            return []
        if isinstance(given, str):
            return [self._taken({"content": given})]
        if isinstance(given, Mapping) and given.get("object") == WHOLE:
            self._exact = {**self._head, **given}
            return self._chosen(given, "message")
        if isinstance(given, Mapping) and given.get("object") == CHUNK:
            return self._chosen(given, "delta")
        if isinstance(given, Mapping) and _MESSAGE & given.keys():
            return [self._taken({name: value for name, value in given.items() if name != "role"})]
        raise NbgraphError(
            f"The graph answered {shown(given)}; a graph with --api openai answers a text, a message "
            '({"role": "assistant", "content": "..."}), texts one after the other, or the whole object.'
        )

    def last(self) -> list[dict[str, Any]]:
        """The last chunks of a stream: the reason for the end, and the usage if requested."""
        ends = [self._chunk({}, self._reason())]
        if (self._request.get("stream_options") or {}).get("include_usage"):
            ends.append({**self._head, "object": CHUNK, "choices": [], "usage": self._counted()})
        return ends

    def whole(self) -> dict[str, Any]:
        """The completion as one object."""
        if self._exact is not None:
            return self._exact
        message = self._message
        if message["content"] is None and "tool_calls" not in message:
            message = {**message, "content": ""}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._reason()}
        return {**self._head, "object": WHOLE, "choices": [choice], "usage": self._counted()}

    def _chosen(self, given: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
        self._usage = given.get("usage") or self._usage
        chunks = []
        for choice in list(given.get("choices") or ())[:1]:
            self._finish = choice.get("finish_reason") or self._finish
            said = {name: value for name, value in (choice.get(field) or {}).items() if name != "role"}
            chunks += [self._taken(said)] if said else []
        return chunks

    def _taken(self, said: dict[str, Any]) -> dict[str, Any]:
        """The chunk for a text, which is appended to the text so far."""
        if isinstance(said.get("content"), str):
            self._message["content"] = (self._message["content"] or "") + said["content"]
        if said.get("tool_calls"):
            numbered = [{"index": number, **call} for number, call in enumerate(said["tool_calls"])]
            said = {**said, "tool_calls": numbered}
            plain = [{name: value for name, value in call.items() if name != "index"} for call in numbered]
            self._message["tool_calls"] = [*self._message.get("tool_calls", ()), *plain]
        rest = {name: value for name, value in said.items() if name not in ("content", "tool_calls")}
        self._message |= rest
        return self._chunk(said)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head, "object": CHUNK, "choices": [choice]}

    def _reason(self) -> str:
        return self._finish or ("tool_calls" if "tool_calls" in self._message else "stop")

    def _counted(self) -> Any:
        """The token counts from the graph, else of words and punctuation: nbgraph does not know the model's tokens."""
        if self._usage is not None:
            return self._usage
        asked = sum(_tokens(message.get("content")) for message in self._request["messages"])
        said = _tokens(self._message["content"])
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


_began = int(time.time())


def _given(plan: Plan, event: Event) -> Iterator[Any]:
    from nbgraph.engine.schedule.stream import answers

    return answers(plan, event)


def asked_about(name: str, event: Event) -> dict[str, Any] | None:
    """The answer to a question about the graph; None for a completion, a ChatError for an unknown path."""
    method = (event.method or "POST").upper()
    path = event.path.partition("?")[0]
    if method in ("GET", "HEAD") and (found := models(name, path)) is not None:
        return found
    if (method, path) != ("POST", COMPLETIONS):
        known = f"POST {COMPLETIONS}, GET {MODELS}"
        raise ChatError(f"{method} {path}: there is no such path. There are: {known}.", 404, code="unknown_url")
    return None


def _checked(body: Any, name: str) -> Mapping[str, Any]:
    """The request, with the fields that nbgraph uses checked; the rest is up to the graph."""
    if not isinstance(body, Mapping):
        raise ChatError(f"The body is {shown(body)}; expected a JSON object with messages.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, Mapping) for one in messages):
        raise ChatError("messages is missing or no list of messages, of which there is at least one.", param="messages")
    if body.get("n") not in (None, 1):
        raise ChatError(f"n is {body['n']!r}; this model gives one choice.", param="n")
    if body.get("model") is not None:
        _check_model(body["model"], name)
    return body


def _check_model(given: Any, name: str) -> None:
    if given != name:
        message = f"The model {given!r} does not exist; there is {name!r}."
        raise ChatError(message, 404, param="model", code="model_not_found")


def _tokens(content: Any) -> int:
    if isinstance(content, str):
        return len(_TOKEN.findall(content))
    parts = content if isinstance(content, list) else []
    return sum(_tokens(part.get("text")) for part in parts if isinstance(part, Mapping))
