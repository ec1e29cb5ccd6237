"""What a handler may be, what it is given, what its result means."""

import asyncio
import functools
import logging
import threading

import pytest

from nbgraph import Event, Graph, GraphError, StepError, steps
from nbgraph.engine.interpret.observer import Observer
from nbgraph.testing import assert_same


def graph_of(handler, name=None, **options):
    graph = Graph("g")
    graph.to(handler, name, **options)
    return graph


class Scale:
    def __init__(self, factor=2):
        self.factor = factor
        self.ready = 0

    def post_init(self):
        self.ready += 1

    def do(self, body):
        return body * self.factor * self.ready


class ByEvent:
    def do_event(self, event):
        event.body = (event.key, event.body)


async def wait(body):
    await asyncio.sleep(0)
    return body + 1


def test_functions_classes_objects_coroutines_names_expressions():
    handlers = [lambda body: body + 1, wait, "(event + 1)", functools.partial(max, 4), Scale, Scale(3), "math.sqrt"]
    assert [graph_of(handler, "x").run(3) for handler in handlers[:5]] == [4, 4, 4, 4, 6]
    assert graph_of(handlers[5], "x").run(3) == 0  # an object is used as it is: its post_init is its maker's
    assert graph_of(handlers[6]).run(9) == 3.0


def test_a_class_is_built_once_with_its_arguments():
    graph = graph_of(Scale, factor=5)
    assert [graph.run(1), graph.run(2)] == [5, 10]
    assert graph.plan().steps["Scale"].call.target.ready == 1


def test_post_init_runs_once_although_many_threads_ask_first():
    made = []

    class Model:
        def post_init(self):
            made.append(1)

        def do(self, body):
            return body

    graph = graph_of(Model)
    threads = [threading.Thread(target=graph.run, args=(1,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_arguments_that_do_not_fit_say_so():
    with pytest.raises(GraphError, match=r"Scale\(factor=2\).*factr"):
        graph_of(Scale, factr=5).run(1)


def test_do_event_and_full_event_return_an_event_or_none():
    assert graph_of(ByEvent).run(1, key="k") == ("k", 1)
    assert graph_of(lambda event: Event(event.key), "x", full_event=True).run(1, key="k") == "k"
    with pytest.raises(StepError, match="returned int; expected the Event"):
        graph_of(lambda event: 7, "x", full_event=True).run(1)


def test_generators_flow_chunk_by_chunk_and_lazily():
    drawn = []

    def count(body):
        for number in range(body):
            drawn.append(number)
            yield number

    async def acount(body):
        for number in range(body):
            yield number

    graph = graph_of(count)
    graph.step("count").to("(event * 10)", "ten")
    answers = graph.answers(5)
    assert (next(answers), drawn) == (0, [0])
    assert list(answers) == [10, 20, 30, 40]
    assert graph.run(3) == 0  # the first chunk wins
    assert list(graph_of(acount).answers(3)) == [0, 1, 2]


def test_an_endless_async_generator_can_be_left():
    async def forever(body):
        while True:
            yield body
            await asyncio.sleep(0)

    answers = graph_of(forever).answers(1)
    assert [next(answers), next(answers)] == [1, 1]
    answers.close()


def test_context_and_name_come_by_signature_only():
    def named(body, context, name):
        return (name, context.graph, context.params, isinstance(context.logger, logging.Logger), body)

    def greedy(body, **more):
        return more

    class Built:
        def __init__(self, name, context):
            self.found = (name, context.step)

        def __call__(self, body):
            return self.found

    assert graph_of(named, "x").run({"a": 1}) == ("x", "g", {}, True, {"a": 1})
    assert graph_of(greedy).run(1) == {}
    assert graph_of(lambda context: context, "first").run("the body") == "the body"
    assert graph_of(Built, "b").run(0) == ("b", "b")


def test_select_outlets_chooses_and_an_unknown_one_lists_the_allowed():
    class Sender:
        def select_outlets(self, body):
            return [body]

    graph = Graph("g")
    first = graph.to(Sender)
    first.to("('left')", "left")
    first.to("('right')", "right")
    assert list(graph.stream(["right", "left"])) == ["right", "left"]
    with pytest.raises(StepError, match=r'chose "up".*Allowed: left, right'):
        graph.run("up")


@pytest.mark.parametrize(
    ("chosen", "answers"), [(None, [1, 1]), ([], []), (["a"], [1]), ("b", [1]), (("a", "b"), [1, 1])]
)
def test_none_means_all_arrows_and_an_empty_list_none(chosen, answers):
    class Route:
        def do(self, body):
            return body

        def select_outlets(self, body):
            return chosen

    graph = Graph("g")
    first = graph.to(Route, "route")
    first.to("(event)", "a")
    first.to("(event)", "b")
    assert list(assert_same(graph, [1])[0].answers) == answers


def is_of_k(event):
    return event.key == "k"


async def is_of_k_later(event):
    return is_of_k(event)


def renewed(event):
    return [event.key, event.body]


def later_body(event):
    event.body = f"{event.key}{event.body}"
    return event


@pytest.mark.parametrize(
    ("handler", "answers"),
    [
        (steps.Map(later_body), ["k1"]), (steps.Filter(is_of_k), [1]), (steps.Filter(is_of_k_later), [1]),
        (steps.Filter(lambda event: event.key != "k"), []), (steps.ForEach(is_of_k), [1]),
        (steps.FlatMap(renewed), ["k", 1]), (steps.Reduce(0, lambda state, event: state + event.body), [1]),
        (steps.MapWithState(0, lambda event, state: (later_body(event), state)), ["k1"]),
        (steps.Partition(is_of_k), [(1, None)]),
    ],
)  # fmt: skip
def test_full_event_is_heeded_by_steps_of_the_library(handler, answers):
    def graph_of_it():
        graph = Graph("g")
        graph.to(handler, full_event=True)
        return graph

    watched = graph_of_it()
    watched.observers.append(Observer())
    event = Event(1, key="k")
    assert [list(graph_of_it().stream([event])), list(watched.stream([Event(1, key="k")]))] == [answers, answers]


def test_full_event_in_batches_and_of_fields():
    graph, keyed = Graph("g"), Graph("k")
    graph.to(steps.Batch(2), full_event=True)
    keyed.to(steps.Batch(2, key="$key"), full_event=True)
    fields = Graph("f")
    fields.to(steps.Extend(lambda event: {"key": event.key}), full_event=True)
    batches = [list(one.stream([Event(1, key="k"), Event(2, key="k")])) for one in (graph, keyed)]
    assert [[[event.body for event in batch] for batch in found] for found in batches] == [[[1, 2]], [[1, 2]]]
    assert fields.run({"a": 1}, key="k") == {"a": 1, "key": "k"}


@pytest.mark.parametrize(
    "handler",
    [steps.Rename({"a": "b"}), steps.Flatten(), steps.Choice(lambda body: "a"), steps.ToDataFrame(),
     steps.ReduceToDataFrame(),
     steps.MapWithState(0, lambda body, state: (body, state), group_by_key=True)],
)  # fmt: skip
def test_full_event_is_refused_by_name_where_it_means_nothing(handler):
    graph = Graph("g")
    graph.to(handler, "only", full_event=True).to(str, "a")
    with pytest.raises(GraphError, match=rf'Step "only": {type(handler).__name__} works on the body'):
        graph.run({"a": 1})


def test_a_decorated_coroutine_is_waited_for_whatever_the_decorator_does():
    def passing(function):
        @functools.wraps(function)
        def inner(body):
            return function(body)

        return inner

    def running(function):
        @functools.wraps(function)
        def inner(body):
            return body + 100

        return inner

    assert [graph_of(passing(wait)).run(1), graph_of(running(wait)).run(1)] == [2, 101]


def test_names_are_bound_late_and_only_what_changed_is_built_again():
    made = []

    class Model:
        def __init__(self):
            made.append(1)

        def do(self, body):
            return body

    names = {"Model": Model, "tail": lambda body: body + 1}
    graph = Graph.parse("%%graph g\nModel -> tail\n", namespace=names)
    first = graph.run(1)
    names["tail"] = lambda body: body * 100
    assert (first, graph.run(1), made) == (2, 100, [1])
    del names["tail"]
    with pytest.raises(GraphError, match='"tail"'):
        graph.run(1)


def test_conditions_exceptions_and_built_in_names_are_bound_late_too():
    names = {"f": lambda body: body, "big": lambda body: "big", "is_big": lambda body: body > 5}
    graph = Graph.parse("%%graph g\nf -> big if is_big\nf -> Flatten else\n", namespace=names)
    assert list(graph.answers(9)) == ["big"]
    names["is_big"] = lambda body: False
    names["Flatten"] = lambda body: "mine"
    assert list(graph.answers(9)) == ["mine"]


def test_steps_with_confusing_names_do_not_take_each_others_place():
    graph = Graph("a")
    first = graph.to("(event)", "a")
    first.to("(event + 1)", "b", when=lambda body: True).to("(event * 100)", "a_to_b")
    first.to("(event)", "a_is_0", when=lambda body: False)
    graph.step("a_to_b").to("(event)", "answers").to("(event)", "<b>").to("(event)", "step_5").to("(event)", "lambda")
    assert [outcome.answers for outcome in assert_same(graph, [1])] == [(200,)]


def test_exceptions_of_every_kind_are_step_errors_with_their_cause():
    class SilentError(Exception):
        def __str__(self):
            raise RuntimeError

    def stop(body):
        return next(iter([]))

    def silent(body):
        raise SilentError

    for handler, kind in [(stop, StopIteration), (silent, SilentError)]:
        graph = graph_of(handler)
        assert assert_same(graph, [1])[0].error is not None
        with pytest.raises(StepError) as caught:
            graph.run(7)
        assert (caught.value.step, caught.value.event.body, type(caught.value.__cause__)) == (handler.__name__, 7, kind)
