"""Serving graphs as MLRun's documentation builds them, each with what is asked of it.

The module is read by MLRun, which builds the graphs and answers (`record.py`), and by nbgraph, which answers for their
specs (`tests/graph/test_mlrun_answers.py`); so it imports neither of the two, but for the base class of models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    from mlrun.serving import V2ModelServer
except ImportError:
    from nbgraph.steps import ModelServer as V2ModelServer

SEEN: list[Any] = []  # what came to `see`


@dataclass(frozen=True)
class Case:
    build: Callable[[Any], Any]
    bodies: tuple[Any, ...]
    topology: str = "flow"
    engine: str | None = "async"
    is_stream: bool = False  # it has no responder: what comes to `see`, once all have come, is the answer
    ask: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {}


def case(*bodies: Any, **settings: Any) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def add(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        CASES[build.__name__] = Case(build, bodies, **settings)
        return build

    return add


# --- handlers ---


def see(body: Any) -> Any:
    SEEN.append(body)
    return body


def double(body: Any) -> Any:
    return body * 2


def mark_left(body: Any) -> Any:
    body["left"] = 1
    return body


def mark_right(body: Any) -> Any:
    body["right"] = 1
    return body


def fail(body: Any) -> Any:
    raise ValueError(f"no good: {body}")


def fail_if_negative(body: Any) -> Any:
    if body < 0:
        raise ValueError("negative")
    return body


def caught(event: Any) -> Any:
    event.body = {"body": event.body, "origin": event.origin_state, "error": bool(event.error)}
    return event


def see_caught(event: Any) -> Any:
    SEEN.append([event.body, event.origin_state])
    return event


def with_path(event: Any) -> Any:
    event.body = [event.body, event.path, event.method]
    return event


def bodies_of(events: Any) -> Any:
    return [event.body for event in events]


def counted(body: Any, context: Any) -> Any:
    context.calls = getattr(context, "calls", 0) + 1
    return [body, context.calls]


def parameter(body: Any, context: Any) -> Any:
    return [body, context.get_param("unknown", 7)]


def columns_of(frame: Any) -> Any:
    SEEN.append({str(name): list(values) for name, values in frame.items()})
    return frame


def summed(body: Any, state: Any) -> Any:
    state["sum"] = state["sum"] + body
    return state["sum"], state


def chunks(body: Any) -> Any:
    yield from range(body)


class Scale:
    def __init__(self, factor: int = 2) -> None:
        self.factor = factor

    def do(self, body: Any) -> Any:
        return body * self.factor


class Named:
    def __init__(self, context: Any = None, name: str | None = None, **rest: Any) -> None:
        self.name, self.rest = name, sorted(rest)

    def do(self, body: Any) -> Any:
        return [body, self.name]


class Echo:
    def __init__(self, context: Any, name: str | None = None, **rest: Any) -> None:
        self.context, self.name, self.rest = context, name, rest

    def do(self, body: Any) -> Any:
        return body


class WholeEvent:
    def do_event(self, event: Any) -> Any:
        event.body = {"path": event.path, "body": event.body}
        return event


class Applied:
    """A function given as an expression."""

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self.fn = fn

    def do(self, body: Any) -> Any:
        return self.fn(body)


class Pick:
    def do(self, body: Any) -> Any:
        return body

    def select_outlets(self, body: Any) -> Any:
        return ["big"] if body > 9 else ["small"]


class Everyone(Pick):
    def select_outlets(self, body: Any) -> Any:
        return None


class Again:
    def do(self, body: Any) -> Any:
        return body + 1

    def select_outlets(self, body: Any) -> Any:
        return ["done"] if body >= 4 else ["again"]


class Times(V2ModelServer):
    def load(self) -> None:
        self.model = None

    def predict(self, request: Any) -> Any:
        return [one * self.get_param("factor", 1) for one in request["inputs"]]


class Says(V2ModelServer):
    def load(self) -> None:
        self.model = None

    def predict(self, request: Any) -> Any:
        return [self.get_param("answer")] * len(request["inputs"])


class ByName(Says):
    def predict(self, request: Any) -> Any:
        return {"prediction": super().predict(request)}


class Prepared(Times):
    def preprocess(self, request: Any, operation: Any) -> Any:
        request["inputs"] = [one + 1 for one in request["inputs"]]
        return request

    def postprocess(self, response: Any) -> Any:
        response["outputs"] = [one * 10 for one in response["outputs"]]
        return response


# --- flows ---


@case(3, "ab")
def a_chain_of_functions(graph: Any) -> None:
    graph.to(name="one", handler="double").to(name="two", handler="double").respond()


@case(5)
def expressions_and_functions_of_modules(graph: Any) -> None:
    graph.to(name="more", handler="(event + 1)").to(name="text", handler="json.dumps").respond()


@case(5, engine="sync")
def a_synchronous_chain(graph: Any) -> None:
    graph.to(name="more", handler="(event + 1)").to("Scale", "scale", factor=3)


@case(2)
def a_function_that_the_spec_holds(graph: Any) -> None:
    graph.to(name="one", handler="double").to(name="two", class_name="Scale", factor=5).respond()


@case(1)
def steps_know_their_names(graph: Any) -> None:
    graph.to("Named", "first").to("Named", "second", some_arg="abc").respond()


@case({"x": 5})
def paths_of_input_and_result(graph: Any) -> None:
    graph.to(name="x2", handler="double", input_path="x", result_path="y.z").respond()


@case({"a": {"b": 2}, "c": 1})
def a_path_of_the_input_alone(graph: Any) -> None:
    graph.to("Scale", "scale", input_path="a.b").respond()


@case("body", ask={"path": "/some/where"})
def functions_of_whole_events(graph: Any) -> None:
    graph.to(name="whole", handler="with_path", full_event=True).respond()


@case("body", ask={"path": "/some/where"})
def classes_of_whole_events(graph: Any) -> None:
    graph.to("WholeEvent", "whole").respond()


@case(3)
def arguments_that_are_functions(graph: Any) -> None:
    graph.to("Applied", "expression", _fn="(event + 1)").to("Applied", "named", _fn="double").respond()


@case(1, 2)
def what_is_kept_on_the_context(graph: Any) -> None:
    graph.to(name="one", handler="counted").to(name="two", handler="parameter").respond()


@case({"a": 1})
def branches_change_bodies(graph: Any) -> None:
    graph.to(name="start", handler="(event)")
    graph.add_step(name="left", handler="mark_left", after="start").to(name="seen", handler="see")
    graph.add_step(name="right", handler="mark_right", after="start").respond()


@case(3, 30)
def a_class_chooses(graph: Any) -> None:
    graph.to("Pick", "pick")
    graph.add_step(name="big", handler="(event * 100)", after="pick")
    graph.add_step(name="small", handler="(event * 10)", after="pick")
    graph.add_step(name="end", handler="(event)", after=["big", "small"]).respond()


@case({"to": "euro", "n": 1}, {"to": ["dollar"], "n": 2}, is_stream=True)
def a_field_chooses(graph: Any) -> None:
    graph.to("mlrun.serving.steps.ChoiceByField", "choice", field_name="to")
    graph.add_step(name="euro", handler="(('euro', event['n']))", after="choice").to(name="seen", handler="see")
    graph.add_step(name="dollar", handler="(('dollar', event['n']))", after="choice").to(name="seen2", handler="see")


@case(1)
def all_are_chosen(graph: Any) -> None:
    graph.to("Everyone", "everyone").to(name="last", handler="(('last', event))").respond()


@case({"n": 5})
def branches_are_merged(graph: Any) -> None:
    graph.to(name="start", handler="(event['n'])")
    graph.add_step(name="twice", handler="(event * 2)", after="start")
    graph.add_step(name="square", handler="(event * event)", after="start")
    graph.add_step("mlrun.serving.merger.Merge", "both", after=["twice", "square"]).respond()


@case({"key": "a", "n": 5})
def branches_are_merged_by_a_key(graph: Any) -> None:
    graph.to(name="start", handler="(event)")
    graph.add_step(name="left", handler="({'key': event['key'], 'left': event['n']})", after="start")
    graph.add_step(name="right", handler="({'key': event['key'], 'right': event['n']})", after="start")
    graph.add_step("mlrun.serving.merger.Merge", "both", key_path="event['key']", after=["left", "right"]).respond()


@case(5)
def a_merge_of_one(graph: Any) -> None:
    graph.to(name="one", handler="(event + 1)").to("mlrun.serving.merger.Merge", "both").respond()


# --- errors ---


@case([], [1], is_stream=True)
def a_step_has_its_error_handler(graph: Any) -> None:
    graph.to(name="start", handler="(event)")
    step = graph.add_step(name="bad", handler="fail", after="start")
    step.error_handler(name="catch", handler="see_caught", full_event=True)


@case(-1, 3, is_stream=True)
def a_graph_has_its_error_handler(graph: Any) -> None:
    graph.to(name="check", handler="fail_if_negative").to(name="seen", handler="see")
    graph.error_handler(name="catch", handler="see_caught", full_event=True)


@case(-1, 3)
def an_error_handler_goes_on(graph: Any) -> None:
    step = graph.to(name="check", handler="fail_if_negative")
    graph.add_step(name="end", handler="([event, 'end'])", after="check").respond()
    step.error_handler(name="mend", handler="(0)", before="end")


# --- Storey's steps ---


@case({"id": 1, "n": 4}, {"id": 2, "n": 1}, is_stream=True)
def bodies_are_filtered_and_extended(graph: Any) -> None:
    graph.to("storey.Filter", "keep", _fn="(event['n'] > 2)").to(
        "storey.Extend", "more", _fn="({'m': event['n'] + 1})"
    ).to(name="seen", handler="see")


@case([1, 2], [3], is_stream=True)
def lists_are_flattened(graph: Any) -> None:
    graph.to("storey.FlatMap", "each", _fn="(event)").to("storey.Map", "more", _fn="(event + 1)").to(
        name="seen", handler="see"
    )


@case([1, 2], [3], is_stream=True)
def lists_are_flattened_by_name(graph: Any) -> None:
    graph.to("storey.Flatten", "each").to(name="seen", handler="see")


@case({"a": 1, "b": 2, "c": 3})
def fields_are_dropped_and_renamed(graph: Any) -> None:
    graph.to("storey.flow.DropColumns", "drop", columns=["a"]).to(
        "storey.flow.Rename", "rename", mapping={"b": "bb"}
    ).respond()


@case({"a": 1}, ask={"path": "/p"})
def metadata_becomes_fields(graph: Any) -> None:
    graph.to("storey.flow.ReifyMetadata", "reify", mapping={"path": "where"}).respond()


@case(1, 2, 3, 4, is_stream=True)
def batches_of_bodies(graph: Any) -> None:
    graph.to("storey.Batch", "batch", max_events=2, full_event=False).to(name="seen", handler="see")


@case(1, 2, 3, is_stream=True)
def the_last_batch_is_short(graph: Any) -> None:
    graph.to("storey.Batch", "batch", max_events=2, full_event=False).to(name="seen", handler="see")


@case(1, 2, 3, 4, is_stream=True)
def batches_of_events(graph: Any) -> None:
    graph.to("storey.Batch", "batch", max_events=2).to(name="bodies", handler="bodies_of").to(
        name="seen", handler="see"
    )


@case({"k": "a", "n": 1}, {"k": "b", "n": 2}, {"k": "a", "n": 3}, {"k": "b", "n": 4}, is_stream=True)
def batches_by_key(graph: Any) -> None:
    graph.to("storey.Batch", "batch", max_events=2, key_field="k", full_event=False).to(name="seen", handler="see")


@case(1, 2, 3, 4, 5, is_stream=True)
def every_second_is_sampled(graph: Any) -> None:
    graph.to("storey.SampleWindow", "sample", window_size=2).to(name="seen", handler="see")


@case(1, 2, 3)
def a_state_from_event_to_event(graph: Any) -> None:
    graph.to("storey.MapWithState", "sum", initial_state={"sum": 0}, _fn="summed").respond()


@case({"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": 5, "b": 6}, {"a": 7, "b": 8}, is_stream=True)
def batches_become_frames(graph: Any) -> None:
    graph.to("storey.Batch", "batch", max_events=2, full_event=False).to("storey.ToDataFrame", "frame").to(
        name="columns", handler="columns_of"
    )


@case({"a": 1, "b": 2}, {"a": 3, "b": 4}, is_stream=True)
def rows_go_to_a_file(graph: Any) -> None:
    graph.to(name="seen", handler="see").to("storey.CSVTarget", "file", path="out.csv", columns=["b", "a"])


@case({"a": 1, "b": None}, {"a": 3, "b": "x,y"}, is_stream=True)
def rows_go_to_a_file_with_a_header(graph: Any) -> None:
    graph.to("storey.CSVTarget", "file", path="out.csv", columns=["a", "b"], header=True)


@case(3)
def an_event_that_is_no_stream_is_collected(graph: Any) -> None:
    graph.to(name="more", handler="(event + 1)").to("storey.Collector", "collect").respond()


# --- the feature store's steps ---


@case({"age": 20, "sex": "m"}, {"age": 70, "sex": "f"})
def values_are_mapped(graph: Any) -> None:
    mapping = {"age": {"ranges": {"young": [0, 30], "old": [30, 120]}}, "sex": {"m": 1, "f": 0}}
    step = graph.to("mlrun.feature_store.steps.MapValues", "map", mapping=mapping, with_original_features=True)
    step.respond()


@case({"kind": "a", "n": 1}, {"kind": "b", "n": 2})
def kinds_become_columns(graph: Any) -> None:
    graph.to("mlrun.feature_store.steps.OneHotEncoder", "hot", mapping={"kind": ["a", "b"]}).respond()


@case({"a": None, "b": 2})
def what_is_missing_is_imputed(graph: Any) -> None:
    graph.to("mlrun.feature_store.steps.Imputer", "impute", method="avg", default_value=9).respond()


@case({"time": "2024-05-06 07:08:09", "n": 1})
def parts_of_a_date(graph: Any) -> None:
    graph.to(
        "mlrun.feature_store.steps.DateExtractor", "date", parts=["hour", "day_of_week"], timestamp_col="time"
    ).respond()


@case({"a": 1, "b": 2})
def features_are_dropped(graph: Any) -> None:
    graph.to("mlrun.feature_store.steps.DropFeatures", "drop", features=["a"]).respond()


@case({"who": {"id": "i7"}, "n": 1}, ask={"path": "/p"})
def an_event_gets_its_metadata_from_the_body(graph: Any) -> None:
    graph.to("mlrun.feature_store.steps.SetEventMetadata", "meta", key_path="who.id").to(
        "storey.flow.ReifyMetadata", "reify", mapping={"key": "key"}
    ).respond()


# --- routers ---


@case({"inputs": [1, 2]}, topology="router", engine=None, ask={"path": "/v2/models/m2/infer"})
def a_router_of_models(graph: Any) -> None:
    graph.add_route("m1", class_name="Times", model_path=".", factor=10)
    graph.add_route("m2", class_name="Times", model_path=".", factor=100)


@case({"model": "m1", "inputs": [1, 2]}, topology="router", engine=None)
def a_body_names_its_model(graph: Any) -> None:
    graph.add_route("m1", class_name="Times", model_path=".", factor=10)
    graph.add_route("m2", class_name="Times", model_path=".", factor=100)


@case({"inputs": [1]}, topology="router", engine=None, ask={"path": "/v2/models/m1/predict"})
def hooks_around_a_model(graph: Any) -> None:
    graph.add_route("m1", class_name="Prepared", model_path=".", factor=3)


@case({"inputs": [1]}, topology="router", engine=None, ask={"path": "/v2/models/nobody/infer"})
def a_model_that_is_not_there(graph: Any) -> None:
    graph.add_route("m1", class_name="Times", model_path=".")


@case(None, topology="router", engine=None, ask={"path": "/v2/models/", "method": "GET"})
def the_models_are_listed(graph: Any) -> None:
    graph.add_route("m1", class_name="Times", model_path=".")
    graph.add_route("m2:v1", class_name="Times", model_path=".")


@case({"inputs": [5]}, ask={"path": "/v2/models/m2/infer"})
def a_router_in_a_flow(graph: Any) -> None:
    graph.to("Echo", "s1").to(name="s2", handler="(dict(event, inputs=[event['inputs'][0] * 2]))")
    router = graph.add_step("*", name="models", after="s2")
    router.add_route("m1", class_name="Times", model_path=".", factor=100)
    router.add_route("m2", class_name="Times", model_path=".", factor=200)
    graph.add_step("Echo", "final", after="models").respond()


@case({"x": {"inputs": [5]}}, ask={"path": "/v2/models/m1/infer"})
def a_router_has_paths(graph: Any) -> None:
    graph.to("Echo", "s1").to("*", name="models", input_path="x", result_path="y").add_route(
        "m1", class_name="Times", model_path="."
    )
    graph.add_step("Echo", "final", after="models").respond()


def _ensemble(graph: Any, models: Any, **options: Any) -> None:
    router = graph.to("*mlrun.serving.routers.VotingEnsemble", "ensemble", **options)
    for name, (kind, arguments) in models.items():
        router.add_route(name, class_name=kind, model_path=".", **arguments)
    router.respond()


@case({"inputs": [[5], [6]]}, ask={"path": "/v2/models/infer"})
def an_ensemble_averages(graph: Any) -> None:
    models = {"m1": ("Says", {"answer": 1.5}), "m2": ("Says", {"answer": 2.5})}
    _ensemble(graph, models, vote_type="regression")


@case({"inputs": [[5], [6]]}, ask={"path": "/v2/models/infer"})
def an_ensemble_votes(graph: Any) -> None:
    models = {"m1": ("Says", {"answer": 1}), "m2": ("Says", {"answer": 2}), "m3": ("Says", {"answer": 2})}
    _ensemble(graph, models, vote_type="classification")


@case({"inputs": [[5]]}, ask={"path": "/v2/models/infer"})
def an_ensemble_has_weights(graph: Any) -> None:
    models = {"m1": ("Says", {"answer": 1.0}), "m2": ("Says", {"answer": 3.0})}
    _ensemble(graph, models, vote_type="regression", weights={"m1": 0.75, "m2": 0.25})


@case({"inputs": [[5]]}, ask={"path": "/v2/models/m1/infer"})
def a_model_of_an_ensemble(graph: Any) -> None:
    _ensemble(graph, {"m1": ("Says", {"answer": 1}), "m2": ("Says", {"answer": 2})})


@case({"inputs": [[5], [6]]}, ask={"path": "/v2/models/infer"})
def an_ensemble_by_names(graph: Any) -> None:
    models = {"m1": ("ByName", {"answer": 1.0}), "m2": ("ByName", {"answer": 2.0})}
    _ensemble(graph, models, vote_type="regression", format_response_with_col_name_flag=True)


@case({"inputs": [[5], [6]]}, ask={"path": "/v2/models/infer"})
def an_ensemble_decides_by_the_kind_of_answers(graph: Any) -> None:
    _ensemble(graph, {"m1": ("Says", {"answer": 1}), "m2": ("Says", {"answer": 1}), "m3": ("Says", {"answer": 2})})


@case({"n": 3})
def routes_run_beside_each_other(graph: Any) -> None:
    router = graph.to("*mlrun.serving.routers.ParallelRun", "fan", executor_type="thread", extend_event=True)
    router.add_route("one", handler="({'one': event['n']})")
    router.add_route("two", class_name="Applied", _fn="({'two': event['n'] * 2})")
    router.respond()


# --- queues and functions ---


@case({"n": 1})
def a_queue_to_another_function(graph: Any) -> None:
    graph.to(name="one", handler="mark_left").to("$queue", "q", path="").to(
        name="two", handler="mark_right", function="child"
    ).respond()


@case([{"text": "Ada met Alan"}, {"text": "in London"}], is_stream=True)
def the_distributed_nlp_example(graph: Any) -> None:
    graph.to(name="load", handler="(event)").to("storey.FlatMap", "paragraphs", _fn="(event)").to(
        ">>", "q1", path=""
    ).to(name="nlp", handler="([word for word in event['text'].split()])", function="enrich").to(
        name="entities", handler="([word for word in event if word[0].isupper()])", function="enrich"
    ).to("storey.FlatMap", "flat", _fn="(event)", function="enrich").to(name="seen", handler="see", function="enrich")


@case({"inputs": [[5.1, 3.5]]}, ask={"path": "/v2/models/infer"})
def the_advanced_model_serving_graph(graph: Any) -> None:
    graph.to("storey.Extend", name="enrich", _fn='({"tag": "something"})').to(
        class_name="Echo", name="pre-process", some_arg="abc"
    ).error_handler(name="catcher", handler="see_caught", full_event=True)
    router = graph.add_step("*mlrun.serving.VotingEnsemble", name="ensemble", after="pre-process")
    router.add_route("m1", class_name="Says", model_path=".", answer=0)
    router.add_route("m2", class_name="Says", model_path=".", answer=0)
    graph.add_step(class_name="Echo", name="final", after="ensemble").respond()


@case(0)
def a_cycle_with_a_limit(graph: Any) -> None:
    graph.to("Again", "again_or_done")
    graph.add_step(name="again", handler="(event)", after="again_or_done").cycle_to(["again_or_done"])
    graph.add_step(name="done", handler="(('done', event))", after="again_or_done").respond()


# --- what is left in files ---

OUTPUT = Path("out.csv")
