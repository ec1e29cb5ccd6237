"""Functions, inner graphs and routers as one node each."""

from nbgraph import Graph
from nbgraph.render import view
from nbgraph.render.fold import foldable, folded
from tests.render.drawings import fraud, nested


def test_functions_and_inner_graphs_are_folded_into_one_node():
    graph = fraud()
    graph.step("clean").to(nested(), "all")
    shown = folded(view(graph), foldable(view(graph)))
    assert [(node.label, node.sublabel) for node in shown.nodes if node.kind in ("fold", "graph")] == [
        ("reporting", "2 steps"), ("all", "graph of 3 steps"),
    ]  # fmt: skip
    assert (shown.ids["lake"], shown.ids["all/tidy/strip"]) == ("fold0", shown.ids["all"])
    assert [line.kind for line in shown.lines if line.target == "fold0"] == ["flow"]


def test_a_router_is_folded_without_its_routes():
    graph = Graph("g")
    graph.to("ModelRouter", "models").add_route("m1", len).add_route("m2", str)
    (router,) = folded(view(graph), foldable(view(graph))).nodes
    assert (router.label, router.sublabel, router.routes) == ("models", "2 routes", ())
