"""ModelServer: its hooks, its forms of asking, loading, micro-batches."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nbgraph import Graph, GraphError, StepError
from nbgraph.engine.interpret.observer import Observer
from nbgraph.errors import RequestError
from nbgraph.steps import ModelServer


class Adder(ModelServer):
    """Adds up each row, and says in `calls` which hooks ran."""

    calls: list[str]

    def load(self) -> None:
        self.calls = []
        self.bias = self.get_param("bias", 0)

    def preprocess(self, request: dict[str, Any], operation: str) -> dict[str, Any]:
        self.calls.append(f"preprocess {operation}")
        return request

    def predict(self, request: dict[str, Any]) -> list[float]:
        self.calls.append("predict")
        return [sum(row.values() if isinstance(row, dict) else row) + self.bias for row in request["inputs"]]

    def explain(self, request: dict[str, Any]) -> list[str]:
        return [" + ".join(map(str, row)) for row in request["inputs"]]

    def postprocess(self, response: dict[str, Any]) -> dict[str, Any]:
        self.calls.append("postprocess")
        return response

    def op_bias(self, event: Any) -> dict[str, Any]:
        return {"bias": self.bias, "asked": event.body}


def graph_of(model: Any, name: str = "add") -> Graph:
    graph = Graph("g")
    graph.to(model, name).respond()
    return graph


def refusal(graph: Graph, body: Any, **options: Any) -> tuple[int, str]:
    with pytest.raises(StepError) as caught:
        graph.run(body, **options)
    cause = caught.value.__cause__
    assert isinstance(cause, RequestError)
    return cause.status, str(cause)


def test_one_row_rows_and_a_request_are_each_answered_in_their_own_form() -> None:
    graph = graph_of(Adder())
    bodies = [{"a": 1, "b": 2}, [1, 2], [[1, 2], [3, 4]], {"inputs": [[1, 2]]}, {"inputs": [[1, 2]], "id": "x"}]
    assert [graph.run(body) for body in bodies] == [
        3, 3, [3, 7], {"model_name": "add", "outputs": [3]}, {"id": "x", "model_name": "add", "outputs": [3]},
    ]  # fmt: skip


def test_the_same_answers_under_an_observer() -> None:
    graph = graph_of(Adder())
    plain = [graph.run({"inputs": [[1, 2]]}), graph.run([1, 2])]
    graph.observers.append(Observer())
    assert [graph.run({"inputs": [[1, 2]]}), graph.run([1, 2])] == plain


def test_hooks_run_in_the_order_of_the_reference() -> None:
    graph = graph_of(Adder())
    graph.run({"inputs": [[1]]})
    assert graph.plan().steps["add"].call.target.calls == ["preprocess infer", "predict", "postprocess"]


def test_further_arguments_are_kept_for_get_param() -> None:
    assert graph_of(Adder(bias=10)).run([1]) == 11


def test_operations_by_path_and_by_body() -> None:
    graph = graph_of(Adder(bias=1))
    answers = [
        graph.run({"inputs": [[1, 2]]}, path="/v2/models/add/explain", id="a"),
        graph.run({"inputs": [[1, 2]], "model": "add", "operation": "explain"}),
        graph.run({"n": 1}, path="/v2/models/add/bias", method="POST"),
        graph.run({"model": "add", "operation": "bias"}),
    ]
    assert answers == [
        {"id": "a", "model_name": "add", "outputs": ["1 + 2"]},
        {"model_name": "add", "outputs": ["1 + 2"]},
        {"bias": 1, "asked": {"n": 1}},
        {"bias": 1, "asked": {"model": "add", "operation": "bias"}},
    ]


def test_a_record_with_fields_of_such_names_is_a_record() -> None:
    class Cars(ModelServer):
        def predict(self, request: dict[str, Any]) -> list[str]:
            return [row["model"] for row in request["inputs"]]

    assert graph_of(Cars()).run({"model": "corolla", "km": 7}) == "corolla"


def test_questions_about_the_model() -> None:
    graph = graph_of(Adder(version="3", inputs=["a", "b"], outputs=["sum"]), "add")
    asked = [
        "/v2",
        "/v2/models",
        "/v2/models/add/versions/3",
        "/v2/models/add/ready",
        "/v2/health/live",
        "/v2/health/ready",
    ]
    answers = [graph.run(None, path=path, method="GET") for path in asked]
    assert [answers[0]["name"], *answers[1:]] == [
        "add",
        {"models": ["add"]},
        {
            "name": "add",
            "versions": ["3"],
            "platform": "python",
            "inputs": [{"name": name, "datatype": "FP64", "shape": [-1]} for name in "ab"],
            "outputs": [{"name": "sum", "datatype": "FP64", "shape": [-1]}],
        },
        {"name": "add", "ready": True},
        {"live": True},
        {"ready": True},
    ]


def test_infer_dict_takes_records_in_the_order_of_the_schema() -> None:
    class First(ModelServer):
        def predict(self, request: dict[str, Any]) -> list[Any]:
            return [row[0] for row in request["inputs"]]

    graph = graph_of(First(inputs=["a", "b"]), "first")
    body = {"inputs": [{"b": 2, "a": 1}]}
    assert graph.run(body, path="/v2/models/first/infer_dict")["outputs"] == [1]
    assert refusal(graph, {"inputs": [{"b": 2}]}, path="/v2/models/first/infer_dict") == (
        400, '"inputs" must be a list of records with a, b.',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "path", "method", "expected"),
    [
        ({"x": 1}, "/v2/models/add/infer", "POST", (400, 'The request has no "inputs"; found: x. Expected')),
        (None, "/v2/models/add/infer", "POST", (400, 'The request has no "inputs"; found: NoneType. Expected')),
        ({"inputs": 3}, "/v2/models/add/infer", "POST", (400, '"inputs" is int; expected a list of rows.')),
        ({"inputs": [[1]]}, "/v2/models/other/infer", "POST", (404, 'There is no model "other"; this is "add".')),
        ({"inputs": [[1]]}, "/v2/models/add/fly", "POST", (404, 'Model "add" has no operation "fly"; it has infer,')),
        (None, "/v2/models/add/infer", "GET", (405, "/v2/models/add/infer is asked for with POST and a body,")),
        (None, "/v2/nonsense", "GET", (404, "There is no /v2/nonsense; the paths for models are /v2,")),
        (None, "/v2/models/nope", "GET", (404, 'There is no model "nope"; known models: add.')),
        (None, "/v2/models/add/versions/9", "GET", (404, 'Model "add" has no version "9"; its versions: none.')),
    ],
)
def test_wrong_requests_are_refused_in_a_sentence(body: Any, path: str, method: str, expected: tuple[int, str]) -> None:
    status, sentence = refusal(graph_of(Adder()), body, path=path, method=method)
    assert (status, sentence[: len(expected[1])]) == expected


def test_a_model_without_explain_says_so() -> None:
    class Bare(ModelServer):
        def predict(self, request: dict[str, Any]) -> Any:
            return request["inputs"]

    status, sentence = refusal(graph_of(Bare(), "bare"), {"inputs": [1]}, path="/v2/models/bare/explain")
    assert (status, sentence) == (501, 'Model "bare" does not explain; give Bare an explain(request).')


def test_hooks_may_be_async() -> None:
    class Slow(ModelServer):
        async def predict(self, request: dict[str, Any]) -> list[int]:
            await asyncio.sleep(0.01)
            return [row[0] * 2 for row in request["inputs"]]

        async def op_hello(self, event: Any) -> str:
            return "hello"

    graph = graph_of(Slow(), "slow")
    assert (graph.run({"inputs": [[2]]})["outputs"], graph.run("x", path="/v2/models/slow/hello")) == ([4], "hello")


def test_a_subclass_with_a_constructor_of_its_own_still_gets_its_name() -> None:
    class Limited(ModelServer):
        def __init__(self, limit: int, **options: Any) -> None:
            super().__init__(**options)
            self.limit = limit

        def predict(self, request: dict[str, Any]) -> list[int]:
            return [min(row, self.limit) for row in request["inputs"]]

    graph = Graph("g")
    graph.to(Limited, "clip", limit=3, version="1").respond()
    assert graph.run({"inputs": [5, 2]}) == {"model_name": "clip", "model_version": "1", "outputs": [3, 2]}


def test_track_gets_what_logged_results_chooses() -> None:
    records: list[dict[str, Any]] = []

    class Private(Adder):
        def logged_results(self, request: Any, response: Any, operation: str) -> tuple[Any, Any]:
            return ["hidden"], None

    graph = graph_of(Private(track=records.append))
    graph.run({"inputs": [[1]]}, id="e1")
    with pytest.raises(StepError):
        graph.run({"inputs": [["a"]]}, id="e2")
    seconds = [record.pop("seconds") for record in records]
    assert min(seconds) >= 0
    assert [
        (record["event_id"], record["inputs"], record["outputs"], record.get("error", "")[:9]) for record in records
    ] == [("e1", ["hidden"], [1], ""), ("e2", ["hidden"], None, "TypeError")]


class Gated(ModelServer):
    """Loads when the gate opens."""

    gate = threading.Event()

    def load(self) -> None:
        assert self.gate.wait(20)

    def predict(self, request: dict[str, Any]) -> Any:
        return request["inputs"]


def test_a_model_that_loads_in_the_background_is_not_ready_until_it_has() -> None:
    Gated.gate = threading.Event()
    graph = graph_of(Gated(load="async"), "gated").ready()
    early = [
        refusal(graph, None, path="/v2/models/gated/ready", method="GET"),
        refusal(graph, {"inputs": [1]}, path="/v2/models/gated/infer", method="POST"),
        refusal(graph, None, path="/v2/health/ready", method="GET"),
    ]
    threading.Timer(0.05, Gated.gate.set).start()
    flowing = graph.run([1])  # an event of a flow waits for the model
    assert early == [
        (408, 'Model "gated" is not ready.'),
        (503, 'Model "gated" is still being loaded; try again in a moment.'),
        (408, "Not ready: gated."),
    ]
    assert (flowing, graph.run(None, path="/v2/models/gated/ready", method="GET")) == (
        [1],
        {"name": "gated", "ready": True},
    )


def test_a_lazy_model_loads_at_the_first_request() -> None:
    Gated.gate = threading.Event()
    graph = graph_of(Gated(load="lazy"), "gated").ready()
    Gated.gate.set()
    before = refusal(graph, None, path="/v2/models/gated/ready", method="GET")[0]
    assert (before, graph.run({"inputs": [1]}, method="POST")["outputs"]) == (408, [1])


def test_a_model_that_fails_to_load_says_why() -> None:
    class Broken(ModelServer):
        def load(self) -> None:
            raise OSError("the disk is gone")

        def predict(self, request: dict[str, Any]) -> Any:
            return []

    status = refusal(graph_of(Broken(load="lazy"), "broken"), {"inputs": [1]})
    assert status == (503, 'Model "broken" can\'t be loaded: the disk is gone')
    with pytest.raises(GraphError, match='Step "broken" can\'t be built: OSError: the disk is gone'):
        graph_of(Broken(), "broken").ready()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"load": "later"}, 'Adder got load=\'later\'; expected "now", "lazy" or "async".'),
        ({"max_batch": 0}, "Adder got max_batch=0; expected rows, at least 1."),
        ({"inputs": [3]}, "A model's schema has 3; expected a name, or"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(GraphError) as caught:
        Adder(**arguments)
    assert str(caught.value).startswith(sentence)


class Doubling(ModelServer):
    """Remembers how many rows each prediction had; takes a while, as real models do."""

    sizes: list[int]

    def load(self) -> None:
        self.sizes = []

    def predict(self, request: dict[str, Any]) -> list[int]:
        self.sizes.append(len(request["inputs"]))
        time.sleep(0.005)
        return [2 * row[0] for row in request["inputs"]]


def test_requests_of_many_coroutines_are_predicted_together() -> None:
    graph = graph_of(Doubling(max_batch=16, max_wait=0.05), "double")

    async def ask() -> list[Any]:
        return await asyncio.gather(*(graph.arun([number]) for number in range(64)))

    assert asyncio.run(ask()) == [2 * number for number in range(64)]
    sizes = graph.plan().steps["double"].call.target.sizes
    assert (sum(sizes), max(sizes), len(sizes) <= 8) == (64, 16, True)


def test_requests_of_many_threads_are_predicted_together() -> None:
    graph = graph_of(Doubling(max_batch=8, max_wait=0.05), "double").ready()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: graph.run({"inputs": [[number], [number]]})["outputs"], range(16)))
    sizes = graph.plan().steps["double"].call.target.sizes
    assert answers == [[2 * number] * 2 for number in range(16)]
    assert (sum(sizes), len(sizes) <= 8) == (32, True)


def test_a_bad_request_in_a_batch_fails_alone() -> None:
    graph = graph_of(Doubling(max_batch=4, max_wait=0.05), "double")

    async def ask() -> list[Any]:
        bodies: list[Any] = [[1], {"inputs": [None]}, [3]]
        return await asyncio.gather(*map(graph.arun, bodies), return_exceptions=True)

    first, second, third = asyncio.run(ask())
    assert (first, type(second), third) == (2, StepError, 6)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_model_of_a_part_of_the_body(is_async: bool) -> None:
    class Length(ModelServer):
        def predict(self, request: dict[str, Any]) -> list[int]:
            return [len(text) for text in request["inputs"]]

    class LaterLength(Length):
        async def predict(self, request: dict[str, Any]) -> list[int]:  # type: ignore[override]
            return [len(text) for text in request["inputs"]]

    graph = Graph("g")
    graph.to(LaterLength() if is_async else Length(), "length", input_path="a.text", result_path="length").respond()
    assert graph.run({"a": {"text": "hello"}}) == {"a": {"text": "hello"}, "length": 5}


def test_a_stream_names_operations_in_the_bodies() -> None:
    graph = graph_of(Adder(bias=1))
    events = [{"inputs": [[1]]}, {"model": "add", "operation": "explain", "inputs": [[1, 2]]}, [5]]
    assert [answer if isinstance(answer, int) else answer["outputs"] for answer in graph.stream(events)] == [
        [2], ["1 + 2"], 6,
    ]  # fmt: skip


def test_raw_tensors_without_a_server() -> None:
    from nbgraph.steps.models.tensor import joined, parted

    head = {"name": "x", "shape": [1, 2], "datatype": "INT32", "parameters": {"binary_data_size": 8}}
    header = json.dumps({"inputs": [head], "parameters": {"binary_data_output": True}}).encode()
    raw = (1).to_bytes(4, "little") + (2).to_bytes(4, "little")
    length = {"Inference-Header-Content-Length": str(len(header))}
    answer = graph_of(Adder()).run(
        header + raw, path="/v2/models/add/infer", headers=length, content_type="application/octet-stream", id="a"
    )
    sent = parted(answer)
    assert sent is not None
    told = json.loads(sent[0][: sent[1]])
    told["inputs"] = told.pop("outputs")
    again = joined(json.dumps(told).encode() + sent[0][sent[1] :], len(json.dumps(told)))
    assert (told["id"], again["inputs"][0]["datatype"], again["inputs"][0]["data"]) == (
        "a", "INT32", (3).to_bytes(4, "little"),
    )  # fmt: skip
