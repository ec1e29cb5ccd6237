"""A graph with routes in the kernel: every way of running it takes the same route, and refuses the same requests."""

from __future__ import annotations

import asyncio

import pytest

from nbgraph import Event, Graph, RouteError, StepError

TEXT = """%%graph shop --api
GET /users/{id} -> load -> respond
GET /count/{n} -> count -> respond
POST /users/{id}/orders {"amount": "$.order.amount!", "note": "$.order.note"} -> check -> save -> respond
* /internal/* -> forbid
"""


def load(body, id, limit: int = 10):
    return [id, limit]


def count(body, n: int, word="x"):
    for number in range(n):
        yield f"{word}{number}"


def check(body):
    return body


async def save_later(body, *, id, tag: list[str] = ()):
    return {**body, "by": id, "tags": list(tag)}


def save(body, *, id, tag: list[str] = ()):
    return {**body, "by": id, "tags": list(tag)}


@pytest.fixture(params=[save, save_later], ids=["sync", "async"])
def shop(request) -> Graph:
    return Graph.parse(TEXT, namespace={"load": load, "count": count, "check": check, "save": request.param})


CALLS = [
    (None, "/users/7", "GET", ["7", 10]),
    (None, "/users/a%2Fb?limit=3", "GET", ["a/b", 3]),
    (None, "/users/caf%C3%A9", "HEAD", ["café", 10]),
    ({"order": {"amount": 3}}, "/users/7/orders?tag=a&tag=b", "POST", {"amount": 3, "by": "7", "tags": ["a", "b"]}),
    ({"order": {"amount": 3}}, "/users/7/orders?tag=a", None, {"amount": 3, "by": "7", "tags": ["a"]}),
    (None, "/count/2?word=z", "GET", "z0"),
]
REFUSED = [
    (None, "/nothing", "GET", (404, (), (), [])),
    (None, "/", None, (404, (), (), [])),
    (None, "/users/7", "DELETE", (405, ("GET", "HEAD", "OPTIONS"), (), [])),
    (None, "/internal/keys", "GET", (403, (), (), [])),
    ({"order": {}}, "/users/7/orders", "POST", (422, (), ("$.order.amount",), [])),
    (None, "/users/7?limit=many", "GET", (422, (), (), ["limit"])),
    (None, "/users/7?limit=1&limit=2", "GET", (422, (), (), ["limit"])),
]


@pytest.mark.parametrize(("body", "path", "method", "answer"), CALLS)
def test_each_life_takes_the_route(shop: Graph, body, path, method, answer) -> None:
    def event() -> Event:
        return Event(body, path=path, method=method)

    debugger = shop.debug(event())
    debugger.resume()
    with shop.start() as run:
        pushed = run.push(event()).result()
    answers = [
        shop.run(body, path=path, method=method),
        asyncio.run(shop.arun(body, path=path, method=method)),
        next(iter(shop.answers(body, path=path, method=method))),
        next(iter(shop.stream([event()]))),
        shop.trace(event()).answer,
        debugger.answer,
        pushed,
    ]
    assert answers == [answer] * 7


@pytest.mark.parametrize(("body", "path", "method", "status"), REFUSED)
def test_each_life_refuses_alike(shop: Graph, body, path, method, status) -> None:
    def event() -> Event:
        return Event(body, path=path, method=method)

    found = []
    with shop.start() as run:
        for call in (
            lambda: shop.run(body, path=path, method=method),
            lambda: asyncio.run(shop.arun(body, path=path, method=method)),
            lambda: list(shop.answers(body, path=path, method=method)),
            lambda: list(shop.stream([event()])),
            lambda: shop.trace(event()),
            lambda: shop.debug(event()),
            lambda: run.push(event()).result(),
        ):
            with pytest.raises(RouteError) as caught:
                call()
            error = caught.value
            found.append((error.status, error.allow, error.missing, list(error.invalid)))
    assert found == [status] * 7


def test_a_stream_goes_on_behind_a_request_without_a_route(shop: Graph) -> None:
    answers = shop.stream([Event(None, path="/nothing"), Event(None, path="/users/7", method="GET")])
    with pytest.raises(RouteError):
        next(answers)
    assert next(answers) == ["7", 10]


def test_all_that_is_missing_is_told_at_once() -> None:
    graph = Graph("g")
    graph.api("POST", "/pay", to=lambda body, card, day: body, body={"a": "$.a!", "b": "$.b[0]!", "c": "$.c"})
    with pytest.raises(RouteError) as caught:
        graph.run({}, path="/pay")
    assert (caught.value.missing, str(caught.value)) == (
        ("$.a", "$.b[0]", "card", "day"),
        "POST /pay: it lacks $.a, $.b[0], card, day.",
    )


def test_each_route_answers_by_its_own_step_also_where_ways_meet() -> None:
    text = """%%graph g --api
    GET /short -> short -> log
    GET /long -> long -> log
    short -> respond
    long -> respond
    """
    seen = []
    names = {"short": lambda body: "short", "long": lambda body: "long", "log": seen.append}
    graph = Graph.parse(text, namespace=names)
    answers = [list(graph.answers(None, path=path, method="GET")) for path in ("/short", "/long")]
    assert (answers, seen) == ([["short"], ["long"]], ["short", "long"])


def test_params_reach_classes_events_and_steps_behind_a_queue() -> None:
    class Greeting:
        def __init__(self, word):
            self.word = word

        def do(self, body, name):
            return f"{self.word} {name}"

    def whole(event, name):
        event.body = [event.body, name, event.params]

    graph = Graph("g")
    graph.api("GET", "/{name}", to=Greeting(word="hello")).to("Queue", "q").to(whole, full_event=True)
    answers = [graph.run(None, path="/eve?x=1", method="GET", streams=streams) for streams in ("memory", "nats")]
    assert answers == [["hello eve", "eve", {"x": "1", "name": "eve"}]] * 2


def test_paths_into_the_body_hold_for_handlers_that_name_a_parameter() -> None:
    graph = Graph("g")
    ref = graph.api("POST", "/{by}", to=check)
    ref.to(lambda part, by: part * int(by), "times", input_path="a", result_path="b").respond()
    assert graph.run({"a": 2}, path="/3") == {"a": 2, "b": 6}


def test_errors_behind_a_route_go_to_their_handlers_and_its_refusals_do_not() -> None:
    def fail(body):
        raise ValueError(body)

    graph = Graph("g")
    graph.api("POST", "/", to=fail)
    graph.error_handler(lambda event: "caught", "caught")
    assert graph.run(1) == "caught"
    with pytest.raises(RouteError):
        graph.run(1, path="/other")


def test_a_failed_event_is_debugged_from_its_step() -> None:
    def fail(body, id):
        raise ValueError(id)

    graph = Graph("g")
    graph.api("GET", "/{id}", to=check).to(fail)
    with pytest.raises(StepError) as caught:
        graph.run(None, path="/7", method="GET")
    assert (str(caught.value.__cause__), caught.value.event.params) == ("7", {"id": "7"})


def test_routes_of_a_graph_inside_are_refused() -> None:
    inner = Graph("inner")
    inner.api("GET", "/", to=check)
    outer = Graph("outer")
    outer.to(inner)
    assert "callers enter by those of the outermost graph alone" in outer.check()[0]


def test_a_queue_that_answers_over_a_broker_takes_each_route_to_its_own_end() -> None:
    text = """%%graph g --api
    GET /near -> near
    GET /far -> far -> Queue("q") -> str.upper
    """
    graph = Graph.parse(text, namespace={"near": lambda body: "near", "far": lambda body: "far"})
    answers = [graph.run(None, path=path, method="GET", streams="nats") for path in ("/near", "/far")]
    assert answers == ["near", "FAR"]


def test_over_a_broker_a_request_without_a_route_is_refused_at_once() -> None:
    text = """%%graph g --api
    GET /far -> far -> Queue("q") -> str.upper
    """
    graph = Graph.parse(text, namespace={"far": lambda body: "far"})
    found = []
    for call in (
        lambda: graph.run(None, path="/near", streams="nats"),
        lambda: list(graph.answers(None, path="/near", streams="nats")),
        lambda: list(graph.stream([Event(None, path="/near")], streams="nats")),
    ):
        with pytest.raises(RouteError) as caught:
            call()
        found.append(caught.value.status)
    assert found == [404] * 3
