"""Which pages may call the gateway, and what their browsers are told."""

from __future__ import annotations

import httpx
import pytest

from nbgraph import Graph
from nbgraph.serve.gateway.api_keys import Keys
from tests.serve.served import gateway_of, hosted

SHOP, OTHER = "https://shop.example", "https://other.example"
ASKING = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
ALLOW = "access-control-allow-origin"


@pytest.mark.parametrize("keys", [[], ["secret"]])
def test_a_named_page_may_call_with_the_key_where_there_is_one(keys: list[str]) -> None:
    graph = Graph("g")
    graph.to("(event)").respond()
    gateway = gateway_of(graph, keys=Keys(keys, [SHOP]))
    key = {"authorization": "Bearer secret"} if keys else {}
    with hosted(gateway, cors=[SHOP]) as url, httpx.Client(base_url=url, trust_env=False) as page:
        asked = [page.options("/", headers={"origin": origin, **ASKING}) for origin in (SHOP, OTHER)]
        called = [page.post("/", json=1, headers={"origin": origin, **key}) for origin in (SHOP, OTHER)]
        bare = page.post("/", json=1, headers={"origin": SHOP})
    assert [(one.status_code, one.headers.get(ALLOW)) for one in (*asked, *called, bare)] == [
        (200, SHOP),
        (400, None),
        (200, SHOP),
        (200 if keys else 403, None),  # with the key it is served, but the browser keeps the answer from the page
        (401 if keys else 200, SHOP),
    ]


def test_without_a_word_no_page_of_another_site_may() -> None:
    graph = Graph("g")
    graph.to("(event)").respond()
    gateway = gateway_of(graph)
    with hosted(gateway) as url, httpx.Client(base_url=url, trust_env=False) as page:
        told = page.post("/", json=1, headers={"origin": SHOP})
        asked = page.options("/", headers={"origin": SHOP, **ASKING})
    assert (told.status_code, told.json(), asked.status_code, asked.headers.get(ALLOW)) == (
        403,
        {"error": f"A page of {SHOP} may not call this deployment; deploy it with cors=['{SHOP}'], or an api_key."},
        403,
        None,
    )
