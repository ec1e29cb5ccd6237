"""The Open Inference Protocol over HTTP, spoken by Triton's own client with a really served graph."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from nbgraph import Graph
from nbgraph.steps import ModelRouter, SklearnModel
from tests.steps.own_models import Broken, Shout


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    features, kinds = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(random_state=0).fit(features, kinds)
    graph = Graph("flowers")
    router = graph.to(ModelRouter(), "models")
    router.add_route("line", SklearnModel(model=LogisticRegression(max_iter=500).fit(features, kinds)))
    router.add_route("tree:v2", SklearnModel(model=tree, method="predict_proba", outputs=["probabilities"]))
    router.add_route("shout", Shout())
    router.add_route("broken", Broken())
    router.respond()
    deployment = graph.deploy("process", progress=False)
    try:
        yield deployment.url.removeprefix("http://").rstrip("/")
    finally:
        deployment.stop()


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    triton = pytest.importorskip("tritonclient.http")
    with triton.InferenceServerClient(address) as found:
        yield found


FLOWERS = numpy.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])


def tensor(values: Any, *, is_binary: bool, name: str = "flowers", datatype: str = "FP64") -> Any:
    from tritonclient.http import InferInput

    found = InferInput(name, list(values.shape), datatype)
    found.set_data_from_numpy(values, binary_data=is_binary)
    return found


def test_questions_of_the_client(client: Any) -> None:
    answers = [
        client.is_server_live(),
        client.is_server_ready(),
        client.is_model_ready("line"),
        client.is_model_ready("tree", "v2"),
        client.is_model_ready("rose"),
        client.get_server_metadata()["extensions"],
        client.get_model_metadata("line")["platform"],
        client.get_model_metadata("tree", "v2")["versions"],
        [row["name"] for row in client.get_model_repository_index()],
    ]
    names = ["line", "tree", "shout", "broken"]
    assert answers == [
        True,
        True,
        True,
        True,
        False,
        ["binary_tensor_data", "model_repository"],
        "sklearn",
        ["v2"],
        names,
    ]


@pytest.mark.parametrize("asks_in_binary", [False, True])
@pytest.mark.parametrize("answers_in_binary", [False, True])
def test_infer_with_tensors_in_json_and_raw(client: Any, asks_in_binary: bool, answers_in_binary: bool) -> None:
    from tritonclient.http import InferRequestedOutput

    wanted = [InferRequestedOutput("output_0", binary_data=answers_in_binary)]
    given = [tensor(FLOWERS, is_binary=asks_in_binary)]
    result = client.infer("line", given, outputs=wanted, request_id="r1")
    found = result.get_response()
    assert (result.as_numpy("output_0").tolist(), found["id"], found["model_name"]) == ([0, 2], "r1", "line")


def test_outputs_are_raw_where_the_client_names_none(client: Any) -> None:
    result = client.infer("tree", [tensor(FLOWERS, is_binary=True)], model_version="v2")
    found = result.as_numpy("probabilities")
    assert (found.shape, found.dtype, found.argmax(axis=1).tolist()) == ((2, 3), numpy.float64, [0, 2])


@pytest.mark.parametrize("is_binary", [False, True])
def test_texts_travel_as_tensors(client: Any, is_binary: bool) -> None:
    texts = numpy.array(["rose", "Blüte", ""], dtype=object)
    result = client.infer("shout", [tensor(texts, is_binary=is_binary, datatype="BYTES")])
    assert [text.decode() for text in result.as_numpy("output_0")] == ["ROSE", "BLÜTE", ""]


def test_wrong_requests_of_the_client_are_refused_in_a_sentence(client: Any) -> None:
    from tritonclient.utils import InferenceServerException

    refused = []
    for model, values in (("rose", FLOWERS), ("line", FLOWERS[:, :2])):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, [tensor(values, is_binary=True)])
        refused.append((caught.value.status(), caught.value.message()))
    assert refused == [
        ("404", 'There is no model "rose"; known models: line, tree:v2, shout, broken.'),
        ("400", 'Model "line" takes 4 features a row, but got 2.'),
    ]


def test_mlruns_form_and_custom_operations(address: str) -> None:
    rows = {"inputs": FLOWERS.tolist()}
    answers = [
        httpx.post(f"http://{address}/v2/models/line/predict", json={**rows, "id": "a"}).json(),
        httpx.post(f"http://{address}/v2/models/shout/explain", json={"inputs": ["x"], "id": "b"}).json(),
        httpx.post(f"http://{address}/v2/models/shout/hello", json={}).json(),
        httpx.post(f"http://{address}/", json={"model": "line", **rows}).json(),
        httpx.get(f"http://{address}/v2/models").json(),
    ]
    assert answers == [
        {"id": "a", "model_name": "line", "outputs": [0, 2]},
        {"id": "b", "model_name": "shout", "outputs": ["upper case"]},
        {"hello": "shout"},
        {"model_name": "line", "outputs": [0, 2]},
        {"models": ["line", "tree:v2", "shout", "broken"]},
    ]


RAW = json.dumps(
    {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "parameters": {"binary_data_size": 32}}]}
).encode()


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "expected"),
    [
        ("POST", "/v2/models/line/infer", b"{", {"content-type": "application/json"}, (400, "The body is declared as")),
        ("POST", "/v2/models/line/infer", b"{}", {}, (400, 'The request has no "inputs"; found: nothing.')),
        ("GET", "/v2/models/line/infer", b"", {}, (405, "/v2/models/line/infer is asked for with POST")),
        ("GET", "/v2/models/rose", b"", {}, (404, 'There is no model "rose"; known models: line')),
        ("POST", "/v2/models/line/fly", b"{}", {}, (404, 'Model "line" has no operation "fly"; it has infer')),
        ("POST", "/v2/models/infer", b'{"inputs": []}', {}, (400, "The request names no model; say which:")),
        ("POST", "/", b'{"model": "rose", "inputs": []}', {}, (404, 'There is no model "rose"; known')),
        ("POST", "/v2/models/line/infer", RAW + b"12", {"inference-header-content-length": str(len(RAW))},
         (400, "The tensors name 32 raw bytes (binary_data_size), but the body has 2.")),
        ("POST", "/v2/models/line/infer", RAW, {"inference-header-content-length": "9999"},
         (400, "Inference-Header-Content-Length is '9999'; the body has")),
        ("POST", "/v2/models/broken/infer", b'{"inputs": [1]}', {}, (500, 'Step "models" failed: RuntimeError')),
    ],
)  # fmt: skip
def test_wrong_requests_over_http(
    address: str, method: str, path: str, content: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    answer = httpx.request(method, f"http://{address}{path}", content=content, headers=headers)
    status, sentence = expected
    assert (answer.status_code, answer.json()["error"][: len(sentence)]) == (status, sentence)


def test_the_description_names_the_paths_for_models(address: str) -> None:
    paths = httpx.get(f"http://{address}/openapi.json").json()["paths"]
    assert {"/", "/v2/models/{model}/infer"} <= set(paths)
