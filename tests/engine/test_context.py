"""What a step reports goes where the graph's host wants it."""

from nbgraph import Graph


class Counted:
    def __init__(self, context):
        self.context = context

    def do(self, body):
        self.context.metric("size", len(body))
        return body


def test_metrics_of_a_step_reach_whoever_collects_them():
    found = []
    graph = Graph("counted")
    graph.to(Counted, "count")
    graph.report_metric = lambda *told: found.append(told)
    graph.run([1, 2, 3])
    assert found == [("count", "size", 3)]
