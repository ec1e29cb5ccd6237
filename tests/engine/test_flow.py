"""Where events go: branches, conditions, cycles, who answers."""

import pytest

from nbgraph import Graph, StepError
from nbgraph.steps import Batch, Filter, FlatMap, Reduce
from nbgraph.testing import assert_same


def diamond():
    graph = Graph("g")
    start = graph.to("(event)", "start")
    start.to("(event + 1)", "more")
    start.to("(event * 10)", "tens")
    graph.add_step("(event)", "end", after=["more", "tens"])
    return graph


def test_broadcast_and_fan_in_pass_each_event():
    assert list(diamond().answers(5)) == [6, 50]
    assert diamond().run(5) == 6  # the first one wins


def test_conditions_and_else_with_their_reasons():
    graph = Graph("g")
    start = graph.to("(event)", "start")
    start.to("('big')", "big", when="event > 10")
    start.to("('even')", "even", when="event % 2 == 0")
    start.to("('rest')", "rest", otherwise=True)
    start.to("('all')", "all")
    found = [(list(graph.answers(body)), graph.trace(body).frames[0].reason) for body in (12, 3)]
    assert found == [
        (["big", "even", "all"], "event > 10 held; event % 2 == 0 held"),
        (["rest", "all"], "no condition held, so else"),
    ]


def test_several_ends_answer_with_the_id_and_a_responder_with_its_result():
    graph = Graph("g")
    start = graph.to("(event + 1)", "start")
    start.to(str, "a")
    start.to(str, "b")
    assert graph.run(1, id="e-1") == {"id": "e-1"}
    start.respond()
    assert graph.run(1) == 2


def test_a_responder_mid_graph_answers_and_the_rest_still_runs():
    seen = []
    graph = Graph("g")
    graph.to("(event + 1)", "answer").respond().to(seen.append, "rest")
    assert (graph.run(1), seen) == (2, [2])
    graph.step("rest").to("(1 / 0)", "late")
    with pytest.raises(StepError) as caught:
        graph.run(5)
    assert (caught.value.step, caught.value.answer) == ("late", 6)


def test_dropped_and_held_events_answer_at_once():
    graph = Graph("g")
    graph.to(Filter("event > 3")).to("(event)", "end").respond()
    assert [graph.run(1), graph.run(5)] == [None, 5]
    held = Graph("g")
    held.to(Batch(2)).respond()
    assert [held.run(1), held.run(2)] == [None, [1, 2]]


def looping(limit=None, graph_limit=100, until=5):
    graph = Graph("g", max_iterations=graph_limit)
    graph.to("(event + 1)", "count").to("(event)", "back", when=f"event < {until}").cycle_to(
        "count", max_iterations=limit
    )
    graph.step("count").to("(event)", "done", otherwise=True)
    return graph


async def again(body):
    return body + 1


def test_cycles_end_by_their_condition_or_their_limit():
    assert looping().run(0) == 5
    for graph, step in [(looping(limit=3, until=50), "back"), (looping(graph_limit=4, until=50), "count")]:
        with pytest.raises(StepError, match="its limit on the cycle") as caught:
            graph.run(0)
        assert caught.value.step == step
        assert graph.run(49) == 50  # counted per event


def test_the_default_limit_is_100_and_a_larger_one_holds_for_the_whole_cycle():
    with pytest.raises(StepError, match="it ran 100 times"):
        looping(until=1000).run(0)
    assert looping(limit=300, until=250).run(0) == 250


def test_limits_count_across_async_steps_and_error_handlers():
    graph = Graph("g", max_iterations=3)
    graph.to(again, "again").cycle_to("again")
    with pytest.raises(StepError, match="it ran 3 times"):
        graph.run(0)
    rescue = Graph("g", max_iterations=3)
    rescue.to("(1 / 0)", "fail").error_handler("(event)", "caught", before="fail")
    with pytest.raises(StepError, match="it ran 3 times"):
        rescue.run(0)


def test_fan_in_outside_a_cycle_is_never_counted():
    graph = Graph("g", max_iterations=2)
    graph.to(FlatMap("range(event)")).to("(event)", "many")
    assert len(list(graph.answers(50))) == 50


def test_what_holds_gives_it_when_the_stream_ends_in_the_order_of_the_flow():
    graph = Graph("g")
    graph.to("(event)", "start").to(Reduce(0, lambda total, batch: total + sum(batch)), "sum")
    graph.add_step(Batch(2), "batch", after="start", before="sum")
    assert list(graph.stream([1, 2, 3])) == [6]


def test_every_way_of_running_agrees_on_deep_and_wide_graphs():
    graph = Graph("g")
    last = graph.to("(event)", "s0")
    for number in range(1, 40):
        last = last.to("(event + 1)", f"s{number}", when=f"event < {number * 3}")
        graph.add_step("(event)", f"t{number}", after=f"s{number - 1}", otherwise=True)
    assert_same(graph, [0, 5, 200])
    chain = Graph("chain")
    last = chain.to("(event + 1)", "s0")
    for number in range(1, 1000):
        last = last.to("(event + 1)", f"s{number}")
    assert chain.run(0) == 1000
