"""Two runs held against each other."""

from nbgraph import Event, Graph
from nbgraph.debug.trace import Trace


def chain(double: str, limit: float) -> Graph:
    graph = Graph("g")
    graph.to("({**event, 'n': event['n'] + 1})", "add").to(double, "double")
    graph.add_step("(event)", "large", after="double", when=f"event['n'] > {limit}")
    graph.add_step("(event)", "small", after="double", otherwise=True)
    return graph


def test_calls_that_differ_go_elsewhere_or_ran_in_one_run_alone():
    this = chain("({**event, 'n': event['n'] * 2})", 5).trace({"n": 3, "id": "a"})
    other = chain("({**event, 'n': event['n'] * 1})", 5).trace({"n": 3, "id": "a"})
    found = this.compare(other)[["step", "state", "difference"]].values.tolist()
    assert found == [
        ["add", "same", ""],
        ["double", "differs", "n: 8 this, 4 other"],
        ["large", "only this", '{"n":8,"id":"a"} this, "(did not run)" other'],
        ["small", "only other", '"(did not run)" this, {"n":4,"id":"a"} other'],
    ]


def test_the_same_value_on_another_way_is_a_difference():
    same = "({**event, 'n': event['n'] * 2})"
    found = chain(same, 5).trace({"n": 3}).compare(chain(same, 9).trace({"n": 3}))
    assert found["difference"].tolist()[:2] == ["", "goes on to large this, to small other"]


def test_forks_and_saved_traces_of_several_events_are_compared_by_their_order(tmp_path):
    graph = Graph("g")
    graph.to("(1 / event)", "inverse")
    saved = graph.trace(2).save(tmp_path / "trace.json")
    debugger = graph.debug([Event(2), Event(4)])
    debugger.resume()
    found = Trace.load(saved).compare(debugger.trace)
    assert found[["event", "step", "state"]].values.tolist() == [[0, "inverse", "same"], [1, "inverse", "only other"]]


def test_errors_are_results_too():
    graph = Graph("g")
    graph.to("(1 / event)", "inverse")
    [state] = graph.trace(0).compare(graph.trace(1))["state"]
    assert state == "differs"
