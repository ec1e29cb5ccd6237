"""What may be given beside a body."""

from __future__ import annotations

import inspect

import pytest

from nbgraph import Event, Graph


@pytest.mark.parametrize("body", [1, "text", Event(1)])
def test_an_unknown_field_is_refused_whatever_the_body(body):
    graph = Graph("g")
    graph.to(repr)
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        graph.run(body, pth="/a")


def test_the_signature_names_the_fields():
    names = [
        [*inspect.signature(method).parameters][-6:] for method in (Graph("g").run, Graph("g").arun, Graph("g").answers)
    ]
    assert names == [["path", "method", "headers", "key", "id", "content_type"]] * 3


def test_an_unknown_option_of_loading_is_refused():
    graph = Graph("g")
    graph.to(len)
    with pytest.raises(TypeError, match="unexpected keyword argument 'oi'"):
        Graph.from_dict(graph.to_dict(), oi=False)
    assert [*inspect.signature(Graph.load).parameters] == ["path", "namespace", "allow", "io"]
