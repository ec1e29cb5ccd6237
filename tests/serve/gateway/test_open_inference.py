"""The Open Inference Protocol at the gateway: what it writes it reads, and a caller's fault is never a 500."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy
import pandas
import pytest
from sklearn.linear_model import LinearRegression

from nbgraph import Graph
from nbgraph.steps import ModelRouter, ModelServer, SklearnModel
from tests.serve.gateway.test_app import Told, ask, gateway_of, told


class Rows(ModelServer):
    """Walks over the rows."""

    def predict(self, request: dict[str, Any]) -> Any:
        return [float(sum(row.values() if isinstance(row, dict) else row)) for row in request["inputs"]]


class Same(ModelServer):
    """Gives back the tensors that it gets."""

    def predict(self, request: dict[str, Any]) -> Any:
        return request["tensors"]


@pytest.fixture(scope="module")
def graph() -> Graph:
    table = pandas.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 0.0, 2.0]})
    graph = Graph("models")
    router = graph.to(ModelRouter(), "router")
    router.add_route("named", SklearnModel(model=LinearRegression().fit(table, [1, 2, 3])))
    router.add_route("bare", SklearnModel(model=LinearRegression().fit(table.to_numpy(), [1, 2, 3])))
    router.add_route("rows", Rows())
    router.add_route("same", Same())
    router.respond()
    return graph


def infer(graph: Graph, model: str, request: Any) -> Told:
    body = json.dumps(request)
    headers = {"content-type": "application/json"}
    return told(
        ask(gateway_of(graph), lambda http: http.post(f"/v2/models/{model}/infer", content=body, headers=headers))
    )


def of(data: Any, datatype: Any = "FP64", shape: Any = None, name: Any = "x", **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)] if shape is None else shape, "data": data, **more}


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_null_is_nan_and_what_is_written_is_read(graph: Graph, datatype: str) -> None:
    data = [0.5, None, "Infinity", "-Infinity"]
    status, answer = infer(graph, "same", {"inputs": [of(data, datatype, [1, 4])]})
    again = infer(graph, "same", {"inputs": answer["outputs"]})
    assert (status, answer["outputs"][0], again[1]["outputs"]) == (200, of(data, datatype, [1, 4]), answer["outputs"])


def test_null_among_others_is_refused(graph: Graph) -> None:
    for datatype in ("INT32", "UINT8", "BOOL", "BYTES"):
        status, answer = infer(graph, "same", {"inputs": [of([1, None], datatype)]})
        assert (status, f"is not {datatype}: it holds " in answer["error"]) == (400, True)
    assert "it holds null" in infer(graph, "same", {"inputs": [of([1, None], "INT32")]})[1]["error"]


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("BOOL", [True, False]), ("INT8", [-128, 127]), ("INT64", [-(2**63), 2**63 - 1]), ("UINT64", [0, 2**64 - 1]),
        ("UINT8", [0, 255]), ("FP16", [65504.0, -0.0]), ("FP32", [0.1 + 2**-30, 1e38]), ("FP64", [5e-324, 1e308]),
        ("BYTES", ["ä", ""]), ("FP64", []),
    ],
)  # fmt: skip
def test_every_datatype_comes_back(graph: Graph, datatype: str, data: list[Any]) -> None:
    status, answer = infer(graph, "same", {"inputs": [of(data, datatype)]})
    again = infer(graph, "same", {"inputs": answer["outputs"]})
    assert (status, again[1]["outputs"], answer["outputs"][0]["datatype"]) == (200, answer["outputs"], datatype)
    width = {"FP16": numpy.float16, "FP32": numpy.float32}.get(datatype)
    assert answer["outputs"][0]["data"] == (data if width is None else [float(width(one)) for one in data])


ROWS = of([1.0, 2.0, 3.0, 4.0], shape=[2, 2])
FAULTS: dict[str, Any] = {
    "columns of unequal length": [of([1.0, 2.0], name="a"), of([1.0], name="b")],
    "a scalar": [of([1.0], shape=[])],
    "a scalar beside a column": [of([1.0], shape=[], name="a"), of([1.0], name="b")],
    "wide columns": [of([1.0, 2.0], shape=[1, 2], name="a"), of([1.0], name="b")],
    "a name twice": [of([1.0], name="a"), of([2.0], name="a")],
    "no such shape": [of([1.0], shape=[2])],
    "a shape beyond any memory": [of([], shape=[0, 2**70])],
    "too many dimensions": [of([1.0], shape=[1] * 80)],
    "a negative shape": [of([1.0], shape=[-1])],
    "a shape that is none": [of([1.0], shape={"a": 1})],
    "a datatype that is none": [of([1.0], datatype=["FP64"])],
    "numbers as texts": [of(["a"])],
    "bytes that are numbers": [of([1], datatype="BYTES")],
    "too much for the type": [of([1e6], datatype="FP16")],
    "no data": [{"name": "x", "shape": [1], "datatype": "FP64"}],
    "not all tensors": [of([1.0]), 3],
    "texts for a model of numbers": [of(["a", "b"], datatype="BYTES", shape=[1, 2])],
}


@pytest.mark.parametrize("model", ["named", "bare", "rows"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_callers_fault_is_his(graph: Graph, model: str, fault: str) -> None:
    if (model, fault) == ("rows", "texts for a model of numbers"):
        return  # what a model of the user's own makes of what it gets is the model's
    status, answer = infer(graph, model, {"inputs": FAULTS[fault]})
    assert (status, bool(answer["error"])) == (400, True)


@pytest.mark.parametrize(
    "request_",
    [
        {"inputs": [ROWS], "outputs": [{"name": ["y"]}]},
        {"inputs": [ROWS], "outputs": [{"name": "y", "parameters": [1]}]},
        {"inputs": [ROWS], "outputs": "y"}, {"inputs": [ROWS], "outputs": [{"name": "nope"}]}, {"inputs": 3},
        {"inputs": {"a": 1}}, {"inputs": [[1.0, 2.0], [3.0]]}, {"inputs": [[1.0]]}, {"inputs": [None]}, {"inputs": []},
        {"inputs": ["a"]}, [], {},
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("model", ["named", "bare"])
def test_requests_that_are_wrong_are_told_so(graph: Graph, model: str, request_: Any) -> None:
    status, answer = infer(graph, model, request_)
    assert (status, bool(answer["error"])) == (400, True)


def test_the_sentence_names_the_shapes(graph: Graph) -> None:
    assert infer(graph, "named", {"inputs": FAULTS["columns of unequal length"]})[1]["error"].endswith(
        'The model takes rows, but the tensors are no columns of a table: "a" has shape [2], "b" has shape [1].'
    )


def test_the_notebook_sees_numbers() -> None:
    graph = Graph("one")
    graph.to(Same(), "same").respond()
    [found] = graph.run({"inputs": [of([math.inf, None], shape=[2])]})["outputs"]
    assert (found["data"][0], math.isnan(found["data"][1])) == (math.inf, True)
