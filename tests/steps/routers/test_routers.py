"""Routers: which model answers, how several answer together, what happens when one fails."""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
from collections import Counter
from typing import Any

import pytest

from nbgraph import Event, Graph, GraphError, StepError, step
from nbgraph.engine.interpret.observer import Observer
from nbgraph.errors import RequestError
from nbgraph.steps import EnrichmentRouter, ModelRouter, ModelRunner, ModelServer, ParallelRun, VotingEnsemble


class Times(ModelServer):
    """Multiplies each input."""

    def predict(self, request: dict[str, Any]) -> list[Any]:
        return [row * self.get_param("factor", 1) for row in request["inputs"]]

    def op_factor(self, event: Any) -> Any:
        return self.get_param("factor")


def times(factor: float) -> Times:
    return Times(factor=factor)


def constant(value: Any) -> Any:
    def predict(body: Any) -> Any:
        return [value for _ in body["inputs"]]

    return predict


def graph_of(router: Any, name: str = "models", **routes: Any) -> Graph:
    graph = Graph("g")
    declared = graph.to(router, name)
    for route, handler in routes.items():
        declared.add_route(route.replace("__", ":"), handler)
    declared.respond()
    return graph


def failure(graph: Graph, body: Any, **options: Any) -> Any:
    with pytest.raises(StepError) as caught:
        graph.run(body, **options)
    return caught.value.__cause__


def refusal(graph: Graph, body: Any, **options: Any) -> tuple[int, str]:
    cause = failure(graph, body, **options)
    assert isinstance(cause, RequestError)
    return cause.status, str(cause)


# --- ModelRouter ---


def test_the_model_is_named_by_the_path_or_by_the_body() -> None:
    graph = graph_of(ModelRouter(), m1=times(2), m2__v1=times(3), m2__v2=times(4))
    answers = [
        graph.run({"inputs": [1]}, path="/v2/models/m1/infer")["outputs"],
        graph.run({"inputs": [1]}, path="/v2/models/m2:v1/predict")["outputs"],
        graph.run({"inputs": [1]}, path="/v2/models/m2/versions/v2/infer")["outputs"],
        graph.run({"inputs": [1], "model": "m2:v2"})["outputs"],
        graph.run({"model": "m1", "operation": "factor"}),
        graph.run({"inputs": [1], "model": "m1"}, path="/v2/models/infer")["outputs"],
    ]
    assert answers == [[2], [3], [4], [4], 2, [2]]


def test_responses_carry_model_and_version() -> None:
    graph = graph_of(ModelRouter(), m2__v1=times(3))
    assert graph.run({"inputs": [1], "id": "a"}, path="/v2/models/m2/infer") == {
        "id": "a", "model_name": "m2", "model_version": "v1", "outputs": [3],
    }  # fmt: skip


def test_the_only_route_answers_what_names_no_model() -> None:
    graph = graph_of(ModelRouter(), m1=times(2))
    assert (graph.run({"inputs": [1]})["outputs"], graph.run(21)) == ([2], 42)


def test_what_names_no_model_among_several_is_refused() -> None:
    graph = graph_of(ModelRouter(), m1=times(2), m2__v1=times(3), m2__v2=times(4))
    unnamed = refusal(graph, {"inputs": [1]})
    assert unnamed == (
        400,
        'The request names no model; say which: /v2/models/NAME/infer, or {"model": NAME, "inputs": ...}. '
        "Known models: m1, m2:v1, m2:v2.",
    )
    several = refusal(graph, {"inputs": [1]}, path="/v2/models/m2/infer")
    unknown = refusal(graph, {"inputs": [1]}, path="/v2/models/m3/infer")
    assert (several, unknown) == (
        (404, 'Model "m2" has several versions; its versions: v1, v2.'),
        (404, 'There is no model "m3"; known models: m1, m2:v1, m2:v2.'),
    )


def test_a_router_without_routes_can_not_be_built() -> None:
    with pytest.raises(GraphError, match='Router "models" has no routes; add one'):
        graph_of(ModelRouter()).ready()


def test_a_route_that_gives_several_results_is_refused() -> None:
    def chunks(body: Any) -> Any:
        yield body

    with pytest.raises(GraphError, match='Route "m1" of router "models" is a step of kind flat'):
        graph_of(ModelRouter(), m1=chunks).ready()


def test_routers_inside_routers() -> None:
    inner = VotingEnsemble(routes={"a": times(2.0), "b": times(4.0)})
    graph = graph_of(ModelRouter(), both=inner, one=times(10))
    assert graph.run({"inputs": [1.0]}, path="/v2/models/both/infer", id="x") == {
        "id": "x", "model_name": "both", "outputs": [3.0],
    }  # fmt: skip


def test_async_routes() -> None:
    async def slow(body: Any) -> Any:
        await asyncio.sleep(0.001)
        return body["inputs"]

    graph = graph_of(ModelRouter(), slow=slow, quick=times(2))
    assert graph.run({"inputs": [1]}, path="/v2/models/slow/infer") == [1]


def test_the_users_body_is_left_as_it_was() -> None:
    body = {"inputs": [1, 2], "model": "m1", "extra": {"a": [1]}}
    before = copy.deepcopy(body)
    graph_of(ModelRouter(shadow="m2"), m1=times(2), m2=times(3)).run(body)
    graph_of(VotingEnsemble(), m1=times(2), m2=times(3)).run(body)
    graph_of(ParallelRun(extend_event=True), m1=len, m2=len).run(body)
    assert body == before


def test_the_same_answers_under_an_observer() -> None:
    graph = graph_of(VotingEnsemble(), m1=times(2.0), m2=times(4.0))
    plain = graph.run({"inputs": [1.0]})
    graph.observers.append(Observer())
    assert graph.run({"inputs": [1.0]}) == plain


def test_a_router_in_the_middle_of_a_flow() -> None:
    graph = Graph("g")
    router = graph.to("({'inputs': [event]})", "wrap").to(ModelRouter(), "models")
    router.add_route("m1", times(2))
    router.to("(event['outputs'][0])", "unwrap").respond()
    assert graph.run(4) == 8


# --- canary and shadow ---


def test_a_canary_gets_its_share_and_a_key_keeps_its_model() -> None:
    graph = graph_of(ModelRouter(weights={"m1": 9, "m2": 1}), m1=times(1), m2=times(100))
    answers = Counter(graph.run(Event(1, key=f"card-{number}")) for number in range(2000))
    again = {graph.run(Event(1, key="card-7")) for _ in range(20)}
    assert 120 < answers[100] < 280
    assert len(again) == 1


def test_a_canary_is_asked_by_the_routers_own_name() -> None:
    graph = graph_of(ModelRouter(weights={"m1": 1, "m2": 0}), "fraud", m1=times(1), m2=times(100))
    assert graph.run({"inputs": [1], "id": "a"}, path="/v2/models/fraud/infer") == {
        "id": "a", "model_name": "m1", "outputs": [1],
    }  # fmt: skip


def test_shadows_see_what_is_asked_and_nobody_sees_their_answers() -> None:
    seen: list[Any] = []
    done = threading.Event()

    class Shadow(ModelServer):
        def predict(self, request: dict[str, Any]) -> Any:
            seen.append(request["inputs"])
            request["inputs"][0].clear()  # its own copy
            done.set()
            return [0]

    graph = graph_of(ModelRouter(shadow=["m2"]), m1=times(1), m2=Shadow())
    body = {"inputs": [[1, 2]]}
    answer = graph.run(body, path="/v2/models/m1/infer")["outputs"]
    assert done.wait(10)
    assert (answer, seen, body) == ([[1, 2]], [[[]]], {"inputs": [[1, 2]]})


def test_a_shadow_that_fails_is_logged_only(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def broken(body: Any) -> Any:
        done.set()
        raise RuntimeError("not yet")

    graph = graph_of(ModelRouter(shadow="m2"), m1=times(2), m2=broken)
    with caplog.at_level(logging.WARNING):
        assert graph.run(21) == 42
        assert done.wait(10)
        for _ in range(100):
            if caplog.messages:
                break
            threading.Event().wait(0.01)
    assert caplog.messages == ['Shadow "m2" failed: RuntimeError: not yet']


@pytest.mark.parametrize(
    ("router", "settings", "sentence"),
    [
        (
            ModelRouter,
            {"weights": {"m9": 1}},
            'Router "models" has a weight for "m9", which is no route; routes: m1, m2.',
        ),
        (
            ModelRouter,
            {"weights": {"m1": -1, "m2": 2}},
            'Router "models" has weight -1 for "m1"; expected a number from 0.',
        ),
        (ModelRouter, {"weights": {"m1": 0, "m2": 0}}, 'The weights of router "models" add up to 0;'),
        (ModelRouter, {"shadow": "m9"}, 'Router "models" has the shadow "m9", which is no route'),
        (ModelRouter, {"shadow": {"m1": 3}}, 'Router "models" has shadow "m1" with share 3; expected 0 to 1.'),
        (ModelRouter, {"shadow": ["m1", "m2"]}, 'Router "models" has shadows only; leave one route that answers.'),
        (VotingEnsemble, {"weights": {"m1": 1}}, 'Ensemble "models" has no weight for m2; give each route one.'),
        (ParallelRun, {"executor_type": "rocket"}, 'Router "models" got the executor \'rocket\'; expected "array",'),
    ],
)
def test_wrong_settings_are_refused_when_the_graph_is_made_ready(
    router: Any, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(GraphError) as caught:
        graph_of(step(router, **settings), m1=times(1), m2=times(2)).ready()
    assert sentence in str(caught.value)


# --- VotingEnsemble ---


@pytest.mark.parametrize(
    ("votes", "settings", "expected"),
    [
        ((1, 2, 2), {}, 2),
        (("a", "b", "a"), {}, "a"),
        ((True, False, False), {}, False),
        ((1.0, 2.0, 6.0), {}, 3.0),  # whole numbers with a point are numbers
        ((1, 2, 6), {"vote_type": "regression"}, 3.0),
        ((1, 2, 6), {"vote_type": "mean"}, 3.0),
        ((1.0, 2.0, 2.0), {"vote_type": "classification"}, 2.0),
        (([0.2, 0.8], [0.4, 0.6], [0.6, 0.4]), {}, [0.4, 0.6]),  # probabilities
        ((1, 2, 3), {}, 1),  # a tie goes to the earliest route
        ((1, 2, 2), {"weights": {"m1": 5, "m2": 1, "m3": 1}}, 1),
        ((2.0, 4.0, 4.0), {"weights": {"m1": 0.2, "m2": 0.1, "m3": 0.1}}, 3.0),  # weights need not add up to 1
    ],
)
def test_votes_are_counted_or_averaged(votes: tuple[Any, ...], settings: dict[str, Any], expected: Any) -> None:
    routes = {f"m{number}": constant(vote) for number, vote in enumerate(votes, 1)}
    graph = graph_of(VotingEnsemble(**settings), **routes)
    assert graph.run({"inputs": [0, 0]})["outputs"] == [pytest.approx(expected)] * 2


@pytest.mark.parametrize("executor_type", [None, "array", "thread", "process"])
def test_an_ensemble_answers_the_same_on_every_executor(executor_type: str | None) -> None:
    graph = graph_of(VotingEnsemble(executor_type=executor_type), "vote", m1=times(1.0), m2=times(3.0))
    assert graph.run({"inputs": [2.0, 4.0]}) == {"model_name": "vote", "outputs": [4.0, 8.0]}


def test_an_ensemble_and_its_models_by_their_names() -> None:
    graph = graph_of(VotingEnsemble(weights={"m1": 3, "m2": 1}), "vote", m1=times(1.0), m2=times(5.0))
    body = {"inputs": [1.0], "id": "a"}
    answers = [
        graph.run(body, path="/v2/models/vote/infer")["outputs"],
        graph.run(body, path="/v2/models/infer")["outputs"],
        graph.run(body, path="/v2/models/m2/infer")["outputs"],
        graph.run(1.0),
        graph.run({"inputs": [1.0], "model": "m2"})["outputs"],
        graph.run(None, path="/v2/models", method="GET"),
        graph.run(None, path="/v2/models/vote/ready", method="GET"),
    ]
    listed = {"models": ["m1", "m2", "vote"], "weights": {"m1": 0.75, "m2": 0.25}}
    assert answers == [[2.0], [2.0], [5.0], 2.0, [5.0], listed, {"name": "vote", "ready": True}]


def test_tensors_of_an_ensemble() -> None:
    graph = graph_of(VotingEnsemble(), "vote", m1=times(1.0), m2=times(3.0))
    request = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}], "id": "a"}
    assert graph.run(request, path="/v2/models/vote/infer")["outputs"] == [
        {"name": "output_0", "datatype": "FP64", "shape": [2], "data": [2.0, 4.0]}
    ]


def test_a_model_that_fails_is_named_and_not_dropped() -> None:
    def broken(body: Any) -> Any:
        raise KeyError("age")

    graph = graph_of(VotingEnsemble(executor_type="thread"), "vote", m1=times(1.0), m2=broken)
    assert str(failure(graph, {"inputs": [1.0]})) == "Route \"m2\" failed: KeyError: 'age'"


def test_models_that_disagree_on_the_number_of_predictions() -> None:
    graph = graph_of(VotingEnsemble(), "vote", m1=constant(1.0), m2="([1.0])")
    expected = 'The models of ensemble "vote" gave different numbers of predictions: m1 2, m2 1.'
    assert str(failure(graph, {"inputs": [1, 2]})) == expected


def test_a_logic_of_ones_own() -> None:
    class Highest(VotingEnsemble):
        def logic(self, predictions: Any, weights: Any) -> list[Any]:
            return [max(row) for row in predictions]

    assert graph_of(Highest(), m1=times(1), m2=times(3)).run({"inputs": [1, 2]})["outputs"] == [3, 6]


# --- ParallelRun ---


@pytest.mark.parametrize("executor_type", ["array", "thread", "process"])
def test_results_are_merged(executor_type: str) -> None:
    routes = {"sum": "({'sum': event['a'] + event['b']})", "product": "({'product': event['a'] * event['b']})"}
    graph = graph_of(ParallelRun(executor_type=executor_type), **routes)
    extended = graph_of(ParallelRun(extend_event=True, executor_type=executor_type), **routes)
    assert graph.run({"a": 2, "b": 3}) == {"sum": 5, "product": 6}
    assert extended.run({"a": 2, "b": 3}) == {"a": 2, "b": 3, "sum": 5, "product": 6}


def test_routes_run_at_once_on_threads() -> None:
    barrier = threading.Barrier(3, timeout=10)

    def meet(body: Any) -> dict[str, int]:
        return {"place": barrier.wait()}

    graph = graph_of(ParallelRun(), a=meet, b=meet, c=meet)
    assert 0 <= graph.run(None)["place"] <= 2


@pytest.mark.parametrize("executor_type", ["array", "thread", "process"])
def test_a_failing_child_is_an_error(executor_type: str) -> None:
    def broken(body: Any) -> Any:
        raise ValueError("no")

    graph = graph_of(ParallelRun(executor_type=executor_type), good=len, bad=broken)
    cause = failure(graph, "abc")
    assert (str(cause), type(cause.__cause__)) == ('Route "bad" failed: ValueError: no', ValueError)


def test_extend_event_needs_a_dict() -> None:
    assert "needs a body that is a dict; found list" in str(
        failure(graph_of(ParallelRun(extend_event=True), a=len), [1])
    )


def test_a_route_that_can_not_travel_says_so() -> None:
    lock = threading.Lock()

    def locked(body: Any) -> Any:
        with lock:
            return body

    with pytest.raises(GraphError, match=r'Route "a" can\'t be sent to a process of its own: TypeError: cannot pickle'):
        graph_of(ParallelRun(executor_type="process"), a=locked).ready()


def test_async_and_plain_routes_together() -> None:
    async def waits(body: Any) -> Any:
        await asyncio.sleep(0.001)
        return {"slow": body}

    graph = graph_of(ParallelRun(), slow=waits, quick="({'quick': event})")
    assert graph.run(1) == {"slow": 1, "quick": 1}


# --- ModelRunner ---


class Chosen:
    """A selector in the reference's manner."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def select_models(self, event: Event, available: list[str]) -> list[str] | None:
        return None if event.body["inputs"][0] > self.limit else available[:1]


def test_a_selector_chooses_the_models() -> None:
    graph = graph_of(ModelRunner(selector=Chosen, selector_parameters={"limit": 5}), m1=times(1), m2=times(2))
    first = {"model_name": "m1", "outputs": [3]}
    both = {"m1": {"model_name": "m1", "outputs": [9]}, "m2": {"model_name": "m2", "outputs": [18]}}
    assert (graph.run({"inputs": [3]}), graph.run({"inputs": [9]})) == ({"m1": first}, both)


def test_a_choice_of_unknown_models_is_an_error() -> None:
    graph = graph_of(ModelRunner(selector=lambda event, names: ["m9"]), m1=len)
    assert str(failure(graph, "a")) == "The selector chose m9; the models are m1."


@pytest.mark.parametrize("mechanism", ["naive", "thread_pool", "process_pool", {"bad": "thread"}])
def test_errors_are_raised_or_collected(mechanism: Any) -> None:
    def bad(body: Any) -> Any:
        raise ValueError("no")

    collecting = graph_of(ModelRunner(raise_exception=False, execution_mechanism=mechanism), good=len, bad=bad)
    raising = graph_of(ModelRunner(execution_mechanism=mechanism), good=len, bad=bad)
    assert collecting.run("abc") == {"good": 3, "bad": {"error": "ValueError: no"}}
    assert str(failure(raising, "abc")) == 'Route "bad" failed: ValueError: no'


def test_one_model_of_a_runner_by_name() -> None:
    graph = graph_of(ModelRunner(), m1=times(1), m2=times(2))
    assert graph.run({"inputs": [3], "model": "m2"}) == {"m2": {"model_name": "m2", "outputs": [6]}}


# --- EnrichmentRouter ---

CARDS = {"a": {"age": 30, "amount": 5.0}, "b": {"age": None, "amount": 7.0}, "c": {"age": 50, "amount": float("nan")}}


def enriched(**settings: Any) -> Graph:
    return graph_of(EnrichmentRouter(table=CARDS, features=["age", "amount"], **settings), m1="(event['inputs'])")


def test_keys_become_features_and_gaps_are_filled() -> None:
    graph = enriched(impute_policy={"age": "$mean", "*": 0})
    assert graph.run({"inputs": [["a"], "b", ["c"], ["unknown"]]}) == [[30, 5.0], [40.0, 7.0], [50, 0], [40.0, 0]]


def test_records_keep_their_fields() -> None:
    graph = enriched(key="card")
    assert graph.run({"inputs": [{"card": "a", "shop": 7}]}) == [{"card": "a", "shop": 7, "age": 30, "amount": 5.0}]


def test_an_unknown_key_without_stand_ins_is_refused() -> None:
    assert refusal(enriched(), {"inputs": [["z"]]}) == (404, "\"models\" finds no row of key 'z' in its table.")


def test_an_enrichment_of_a_data_frame_in_front_of_an_ensemble() -> None:
    import pandas

    frame = pandas.DataFrame(CARDS).T
    vote = VotingEnsemble(routes={"low": "([row[1] for row in event['inputs']])", "high": "([9.0])"})
    graph = graph_of(EnrichmentRouter(table=frame, features=["age", "amount"]), vote=vote)
    assert graph.run({"inputs": ["a"]})["outputs"] == [7.0]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"table": None}, 'EnrichmentRouter "models" needs table=... and features=[...]'),
        ({"impute_policy": {"height": 1}}, '"models" imputes height, which are not among its features.'),
        ({"impute_policy": {"age": "$best"}}, "\"models\" imputes age by '$best'; known are $mean, $median"),
    ],
)
def test_wrong_enrichments_are_refused(settings: dict[str, Any], sentence: str) -> None:
    arguments = {"table": CARDS, "features": ["age", "amount"], **settings}
    graph = Graph("g")
    graph.to("EnrichmentRouter", "models", **arguments).add_route("m1", len)
    with pytest.raises(GraphError) as caught:
        graph.ready()
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("options", "outputs"),
    [
        ({}, [2.0]),
        ({"format_response_with_col_name_flag": True}, {"prediction": [2.0]}),
        ({"prediction_col_name": "p", "format_response_with_col_name_flag": True}, {"p": [20.0]}),
    ],
)
def test_models_of_an_ensemble_may_answer_by_names(options: dict[str, Any], outputs: object) -> None:
    graph = Graph("g")
    ensemble = graph.to(VotingEnsemble(vote_type="regression", **options), "both")
    for name, prediction in (("m1", 1.0), ("m2", 3.0)):
        answer = {"prediction": [prediction], "p": [10 * prediction]}
        ensemble.add_route(name, lambda body, answer=answer: answer)
    assert graph.run({"inputs": [[1]]})["outputs"] == outputs
