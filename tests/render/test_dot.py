"""DOT, compared with saved files."""

import pytest

from nbgraph.render import digraph
from tests.render.drawings import fraud, nested, saved


@pytest.mark.parametrize("graph", [fraud(), nested()], ids=["fraud", "nested"])
def test_the_dot_is_the_saved_one(graph):
    assert digraph(graph).source == saved(f"{graph.name}.dot", digraph(graph).source)


def test_top_to_bottom():
    assert "rankdir=TB" in digraph(fraud(), direction="TB").source
