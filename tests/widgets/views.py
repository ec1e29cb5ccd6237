"""Graph widgets that keep what they send."""

import json

from nbgraph import Graph
from nbgraph.widgets.graph import GraphWidget


def double(body):
    return body * 2


def fail(body):
    raise ValueError("no luck\nsecond line")


def watched(graph: Graph) -> tuple[GraphWidget, list]:
    widget = GraphWidget(graph)
    sent: list = []
    widget.send = lambda content, buffers=None: sent.append(json.loads(json.dumps(content)))
    return widget, sent
