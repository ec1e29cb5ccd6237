"""The JavaScript that a widget carries."""

from nbgraph.widgets.graph import GraphWidget


def test_the_module_is_small():
    assert len(GraphWidget._esm.encode()) <= 30_000
