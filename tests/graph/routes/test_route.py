"""Routes: matching against a plain oracle, the language and documents they stand in, and what is wrong with them."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbgraph import Graph, GraphError, RouteError
from nbgraph.graph.routes.route import METHODS, Route, RouteTable

SHOP = """%%graph shop --api
GET /users/{id} -> load -> respond
POST /users/{id}/orders {"amount": "$.order.amount!"} -> check -> save -> respond
* /internal/* -> forbid
"""


def load(body, id):
    return f"user {id}"


def check(body):
    return body


def save(body, id):
    return {**body, "by": id}


SHOP_NAMES = {"load": load, "check": check, "save": save}


# --- matching ---

words = st.sampled_from(["a", "b", "users", "é", "a/b", "100%", "x y", "{id}", "*", "", "+", "a%2Fb"])
templates = st.lists(st.sampled_from(["a", "b", "users", "{p}", "{q}"]), min_size=1, max_size=4, unique=True)


@st.composite
def routes(draw: st.DrawFn) -> list[Route]:
    found: dict[str, Route] = {}
    for _ in range(draw(st.integers(1, 6))):
        parts = draw(templates) + draw(st.sampled_from([[], ["*"]]))
        route = Route(draw(st.sampled_from(["GET", "POST", "*"])), "/" + "/".join(parts), draw(st.booleans()))
        found.setdefault(route.shape, route)
    return list(found.values())


def fits(path: str, parts: list[str]) -> bool:
    """The oracle: part by part, after splitting, by the words of the contract."""
    template = path.split("/")[1:]
    if template[-1] == "*":
        template, parts = template[:-1], parts[: len(template) - 1]
    same = [
        (text.startswith("{") and part != "") or part == unquote(text)
        for text, part in zip(template, parts, strict=False)
    ]
    return len(template) == len(parts) and all(same)


def expected(found: list[Route], method: str, parts: list[str]) -> object:
    fitting = [route for route in found if fits(route.path, parts)]
    if not fitting:
        return 404
    takes = [route for route in fitting if route.method in (method, "*")]
    if not takes:
        return 405
    kinds = {"*": 2}

    def exactness(route: Route) -> tuple[list[int], int]:
        template = route.path.split("/")[1:]
        return [kinds.get(text, 1 if text.startswith("{") else 0) for text in template], route.method == "*"

    best = min(takes, key=exactness)
    if best.forbid:
        return 403
    template = best.path.split("/")[1:]
    pairs = zip(template, parts, strict=False)
    return best.name, {text[1:-1]: part for text, part in pairs if text.startswith("{")}


@given(routes(), st.sampled_from(["GET", "POST", "PUT"]), st.lists(words, min_size=1, max_size=5))
def test_paths_are_matched_as_a_plain_oracle_says(found: list[Route], method: str, parts: list[str]) -> None:
    path = "/" + "/".join(quote(part, safe="") for part in parts)
    try:
        route, params = RouteTable(found).chosen(method, path)
        answer: object = (route.name, params)
    except RouteError as error:
        answer = error.status
    assert answer == expected(found, method, parts)


def test_what_is_no_utf8_is_a_bad_request() -> None:
    with pytest.raises(RouteError) as caught:
        RouteTable([Route("GET", "/{name}")]).chosen("GET", "/%ff")
    assert caught.value.status == 400


# --- language and documents ---


def test_a_cell_of_routes_reads_back_in_every_form(tmp_path) -> None:
    graph = Graph.parse(SHOP, namespace=SHOP_NAMES)
    file = graph.save(tmp_path / "shop.yaml")
    forms = [
        graph.source(),
        Graph.parse(graph.source(), namespace=SHOP_NAMES),
        Graph.from_dict(graph.to_dict(), namespace=SHOP_NAMES),
        Graph.load(file, namespace=SHOP_NAMES),
        graph.responders,
    ]
    assert forms == [SHOP, graph, graph, graph, ("load", "save")]


def test_routes_are_built_by_hand_as_in_a_cell() -> None:
    graph = Graph("shop")
    graph.api("GET", "/users/{id}", to="load").respond()
    graph.api("POST", "/users/{id}/orders", to="check", body={"amount": "$.order.amount!"}).to("save").respond()
    graph.api("*", "/internal/*", forbid=True)
    assert (graph, graph.step("save").spec.handler) == (Graph.parse(SHOP, namespace=SHOP_NAMES), "save")


@st.composite
def shops(draw: st.DrawFn) -> Graph:
    """Graphs with routes whose ways meet, in any order."""
    graph = Graph("g")
    names = [f"s{number}" for number in range(draw(st.integers(1, 4)))]
    for name in names:
        graph.to("str", name)
    for number in range(draw(st.integers(1, 4))):
        body = draw(st.sampled_from([None, {"a": "$.b", "c d": "$['e'][0]!"}]))
        method = draw(st.sampled_from([*METHODS, "*"]))
        ref = graph.api(method, f"/r{number}/{{id}}", to=draw(st.sampled_from(names)), body=body)
        if draw(st.booleans()):
            graph.connect(f"{method} /r{number}/{{id}}", draw(st.sampled_from(names)))
        if draw(st.booleans()):
            ref.respond()
    return graph


@given(shops())
def test_graphs_with_routes_read_back(graph: Graph) -> None:
    forms = [Graph.parse(graph.source()), Graph.from_yaml(graph.to_yaml()), Graph.from_dict(graph.to_dict())]
    assert forms == [graph] * 3


@pytest.mark.parametrize(
    ("lines", "line", "column", "said"),
    [
        ("GET /a -> load\nGET /a -> save", 3, 1, "the route GET /a stands in line 2 already"),
        ("GOT /a -> load", 2, 1, "The method of a route is 'GOT'"),
        ("GET /{a}/{a} -> load", 2, 1, 'its parameter "a" stands there twice'),
        ("GET /a/*/b -> load", 2, 1, "it can only be the last part"),
        ('GET /a {"x": 1} -> load', 2, 1, "expected a text such as"),
        ("check -> GET /a", 2, 14, "found `/`"),
    ],
)
def test_faults_in_routes_have_their_place(lines: str, line: int, column: int, said: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.parse(f"%%graph g --api\n{lines}", namespace=SHOP_NAMES)
    assert (caught.value.line, caught.value.column, said in str(caught.value)) == (line, column, True)


@pytest.mark.parametrize(("text", "said"), [
    ("%%graph g\nGET /a -> load", "says so in its first line: `%%graph g --api`"),
    ("%%graph g --api\nload -> save", "no line begins with one"),
])  # fmt: skip
def test_the_first_line_tells_of_routes(text: str, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        Graph.parse(text, namespace=SHOP_NAMES)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("GET /{a} -> check\nGET /{b} -> load", 'Routes "GET /{a}" and "GET /{b}" take the same requests'),
        ("GET /a -> check\nload -> check", 'Step "load" is reached by no route'),
        ("GET /a -> [check, load]", 'ends at "check" and "load", and none responds'),
        ("GET /a -> check -> load\ncheck -> respond\nload -> respond", 'two responders, "check" and "load"'),
        ("GET /a -> check -> load\nPOST /a -> load\ncheck -> respond", '"load" answers for route "POST /a"'),
        ("GET /health/live -> check", 'Route "GET /health/live" is what a deployment answers itself'),
        ('Endpoint("GET", "/a") -> check\nEndpoint("GET", "/b", True) -> load', "is forbidden and leads to a step"),
    ],
)
def test_check_tells_what_is_wrong_with_routes(lines: str, said: str) -> None:
    def name(body):
        return body

    names = dict.fromkeys(("check", "load"), name)
    assert said in " ".join(Graph.parse(f"%%graph g --api\n{lines}", namespace=names).check())


def test_a_route_that_leads_nowhere_is_told() -> None:
    graph = Graph("g")
    graph.api("GET", "/a", to=check)
    graph.remove("check")
    assert graph.check() == [
        'Route "GET /a" leads to no step; draw an arrow from it, or let it forbid: `GET /a -> forbid`.'
    ]


def test_a_route_stands_once_and_needs_somewhere_to_lead() -> None:
    graph = Graph("g")
    graph.api("GET", "/a", to=check)
    for make in (
        lambda: graph.api("get", "/a", to=load),
        lambda: graph.api("GET", "/b"),
        lambda: graph.api("GET", "b", to=load),
    ):
        with pytest.raises(GraphError):
            make()
