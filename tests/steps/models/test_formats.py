"""Models of each library, as objects and from files; what files are read, and which are refused."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import joblib
import numpy
import pandas
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from nbgraph import Graph, GraphError, StepError
from nbgraph.errors import RequestError
from nbgraph.steps import LightGBMModel, OnnxModel, SklearnModel, XGBoostModel

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


@pytest.fixture(scope="module")
def flowers() -> tuple[Any, Any]:
    found: tuple[Any, Any] = load_iris(return_X_y=True)
    return found


@pytest.fixture(scope="module")
def classifier(flowers: tuple[Any, Any]) -> LogisticRegression:
    return LogisticRegression(max_iter=500).fit(*flowers)


def answer(model: Any, body: Any) -> Any:
    return graph_of(model).run(body)


def graph_of(model: Any) -> Graph:
    graph = Graph("g")
    graph.to(model, "m").respond()
    return graph


def refusal(model: Any, body: Any) -> str:
    with pytest.raises(StepError) as caught:
        answer(model, body)
    cause = caught.value.__cause__
    assert isinstance(cause, RequestError)
    assert cause.status == 400
    return str(cause)


# --- scikit-learn ---


def test_methods_of_a_classifier(classifier: LogisticRegression) -> None:
    predicted = answer(SklearnModel(model=classifier), {"inputs": ROWS})["outputs"]
    probable = answer(SklearnModel(model=classifier, method="predict_proba"), ROWS)
    assert (predicted, probable) == ([0, 2], classifier.predict_proba(ROWS).tolist())


def test_records_lists_and_frames_for_a_model_that_was_fitted_on_a_frame() -> None:
    frame = pandas.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
    model = SklearnModel(model=LinearRegression().fit(frame, [1.0, 2.0, 5.0]))
    one, listed, whole = answer(model, {"b": 1.0, "a": 2.0, "more": 7}), answer(model, [2.0, 1.0]), answer(model, frame)
    assert (one, listed, whole) == (pytest.approx(5.0), pytest.approx(5.0), pytest.approx([1.0, 2.0, 5.0]))


def test_columns_of_several_types() -> None:
    frame = pandas.DataFrame({"shop": ["a", "b", "a"], "amount": [1.0, 2.0, 3.0]})
    columns = ColumnTransformer([("shop", OneHotEncoder(), ["shop"])], remainder="passthrough")
    model = SklearnModel(model=make_pipeline(columns, LinearRegression()).fit(frame, [1.0, 4.0, 3.0]))
    assert answer(model, {"inputs": [{"shop": "a", "amount": 1.0}, {"amount": 2.0, "shop": "b"}]})["outputs"] == [
        pytest.approx(1.0), pytest.approx(4.0),
    ]  # fmt: skip


def test_without_pandas_the_order_of_the_features_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pandas.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
    model = SklearnModel(model=LinearRegression().fit(frame, [1.0, 2.0, 5.0]))
    monkeypatch.setattr(SklearnModel, "_has_frames", False)
    assert answer(model, {"b": 1.0, "a": 2.0}) == pytest.approx(5.0)


def test_texts() -> None:
    texts, kinds = ["good fine", "bad awful", "good", "awful"], ["up", "down", "up", "down"]
    model = SklearnModel(model=make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, kinds))
    assert (answer(model, "fine"), answer(model, {"inputs": ["bad", "good"]})["outputs"]) == ("up", ["down", "up"])


def test_inputs_that_do_not_fit_are_refused(classifier: LogisticRegression) -> None:
    frame = pandas.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
    named = LinearRegression().fit(frame, [1.0, 2.0])
    refused = [
        refusal(SklearnModel(model=classifier), {"inputs": [[1, 2]]}),
        refusal(SklearnModel(model=classifier), {"inputs": [[1, 2], [3]]}),
        refusal(SklearnModel(model=named), {"a": 1}),
        refusal(SklearnModel(model=named), [1.0]),
        refusal(SklearnModel(model=classifier), {"inputs": [["a", "b", "c", "d"]]})[:37],
    ]
    assert refused == [
        'Model "m" takes 4 features a row, but got 2.',
        'Model "m" got rows of different lengths.',
        "Model \"m\" needs a, b; a row has no 'b'.",
        'Model "m" takes 2 features a row, but got 1.',
        'Model "m" can\'t predict these inputs:',
    ]


def test_a_model_without_the_method(classifier: LogisticRegression) -> None:
    with pytest.raises(GraphError, match='Model "m" is a LinearRegression, which has no predict_proba'):
        graph_of(SklearnModel(model=LinearRegression().fit([[0], [1]], [0, 1]), method="predict_proba")).ready()


def test_a_skops_file(classifier: LogisticRegression, tmp_path: Path) -> None:
    import skops.io

    skops.io.dump(classifier, tmp_path / "flowers.skops")
    in_folder = answer(SklearnModel(model_path=tmp_path), {"inputs": ROWS})["outputs"]
    assert (answer(SklearnModel(model=str(tmp_path / "flowers.skops")), ROWS), in_folder) == ([0, 2], [0, 2])


def test_a_skops_file_with_types_nobody_vouches_for(tmp_path: Path) -> None:
    import skops.io

    skops.io.dump(FunctionTransformer(copy.copy), file := tmp_path / "odd.skops")
    model = SklearnModel(model=str(file), method="transform")
    with pytest.raises(GraphError, match=r"holds types that are not known to be harmless: copy\.copy\. If you trust"):
        graph_of(model).ready()
    assert answer(SklearnModel(model=file, method="transform", trusted=["copy.copy"]), {"inputs": [[1]]})[
        "outputs"
    ] == [[1]]


@pytest.mark.parametrize("suffix", [".pkl", ".joblib"])
def test_pickles_are_refused_unless_allowed(classifier: LogisticRegression, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"flowers{suffix}"
    joblib.dump(classifier, file) if suffix == ".joblib" else file.write_bytes(pickle.dumps(classifier))
    with pytest.raises(GraphError, match=r"is a pickle, which can run any code when it is read\. Save the model"):
        graph_of(SklearnModel(model=file)).ready()
    assert answer(SklearnModel(model=file, allow_pickle=True), ROWS) == [0, 2]


def test_a_pickle_of_the_deployed_project_is_read_while_its_hash_holds(
    classifier: LogisticRegression, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "artifacts" / "flowers.pkl"
    file.parent.mkdir()
    file.write_bytes(pickle.dumps(classifier))
    row = {"file": "artifacts/flowers.pkl", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    (tmp_path / "artifacts.json").write_text(json.dumps([row]))
    project = types.ModuleType("handlers")
    project.__file__ = str(tmp_path / "handlers.py")
    monkeypatch.setitem(sys.modules, "handlers", project)
    assert answer(SklearnModel(model=file), ROWS) == [0, 2]
    file.write_bytes(file.read_bytes() + b".")
    with pytest.raises(GraphError, match="is a pickle"):
        graph_of(SklearnModel(model=file)).ready()


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.skops").write_text("")
    (tmp_path / "b.skops").write_text("")
    (tmp_path / "c.txt").write_text("")
    wrong = [tmp_path / "none.skops", tmp_path, tmp_path / "c.txt"]
    sentences = []
    for path in wrong:
        with pytest.raises(GraphError) as caught:
            graph_of(SklearnModel(model=path)).ready()
        sentences.append(str(caught.value).replace(str(tmp_path), "HERE").partition(" (looked")[0])
    assert sentences == [
        'There is no model at "HERE/none.skops"',
        'The folder "HERE" has 3 files: a.skops, b.skops, c.txt; name the one that holds the model.',
        '"HERE/c.txt" ends in .txt; expected .skops, or one of .pkl, .pickle, .joblib.',
    ]


# --- ONNX ---


def to_onnx(model: Any, *columns: Any) -> Any:
    skl2onnx = pytest.importorskip("skl2onnx")
    types = skl2onnx.common.data_types
    initial = [(name, types.FloatTensorType([None, size])) for name, size in columns]
    return skl2onnx.convert_sklearn(model, initial_types=initial, options={id(model): {"zipmap": False}})


def test_an_onnx_model_as_object_bytes_and_file(classifier: LogisticRegression, tmp_path: Path) -> None:
    converted = to_onnx(classifier, ("flowers", 4))
    (tmp_path / "flowers.onnx").write_bytes(converted.SerializeToString())
    models = [converted, converted.SerializeToString(), tmp_path / "flowers.onnx", tmp_path]
    assert [answer(OnnxModel(model=model), {"inputs": ROWS})["outputs"] for model in models] == [[0, 2]] * 4


def test_outputs_of_an_onnx_model(classifier: LogisticRegression) -> None:
    converted = to_onnx(classifier, ("flowers", 4))
    probable = answer(OnnxModel(model=converted, output="probabilities"), ROWS)
    tensors = {"inputs": [{"name": "flowers", "shape": [2, 4], "datatype": "FP64", "data": [*ROWS[0], *ROWS[1]]}]}
    every = {tensor["name"]: tensor for tensor in answer(OnnxModel(model=converted), tensors)["outputs"]}
    assert numpy.argmax(probable, axis=1).tolist() == [0, 2]
    assert [(name, tensor["datatype"], tensor["shape"]) for name, tensor in every.items()] == [
        ("label", "INT64", [2]),
        ("probabilities", "FP32", [2, 3]),
    ]


def test_an_onnx_model_knows_its_metadata(classifier: LogisticRegression) -> None:
    graph = graph_of(OnnxModel(model=to_onnx(classifier, ("flowers", 4))))
    found = graph.run(None, path="/v2/models/m", method="GET")
    assert (found["platform"], found["inputs"]) == (
        "onnxruntime", [{"name": "flowers", "datatype": "FP32", "shape": [-1, 4]}],
    )  # fmt: skip


def test_an_onnx_model_of_several_inputs() -> None:
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("a", "b", "sum")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["sum"])], "add", ends[:2], ends[2:])
    opset = [helper.make_opsetid("", 17)]
    model = OnnxModel(model=helper.make_model(graph, opset_imports=opset, ir_version=10))
    onnx.checker.check_model(model.model)
    records = answer(model, {"inputs": [{"b": 2, "a": 1}, {"a": 3, "b": 4}]})["outputs"]
    listed = answer(model, {"inputs": [[1, 2], [3, 4]]})["outputs"]
    tensors = [{"name": name, "shape": [2, 1], "datatype": "FP32", "data": [1, 3]} for name in "ab"]
    assert (records, listed) == ([[3.0], [7.0]], [[3.0], [7.0]])
    assert answer(model, {"inputs": tensors})["outputs"][0]["data"] == [2.0, 6.0]
    assert refusal(model, {"inputs": [{"a": 1}]}) == 'A row has no "b"; it has a.'
    assert refusal(model, {"inputs": [[1, 2, 3]]}) == 'Model "m" takes 2 inputs a row, but got 3.'


def test_wrong_inputs_of_an_onnx_model(classifier: LogisticRegression) -> None:
    model = OnnxModel(model=to_onnx(classifier, ("flowers", 4)))
    assert refusal(model, {"inputs": [[1.0, 2.0]]}).startswith('Model "m" can\'t predict these inputs:')
    assert refusal(model, {"inputs": [["a"]]}).startswith('Model "m", input "flowers" is tensor(float):')


# --- XGBoost and LightGBM ---


def test_an_xgboost_model_as_object_and_files(flowers: tuple[Any, Any], tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    fitted = xgboost.XGBClassifier(n_estimators=5).fit(*flowers)
    fitted.save_model(tmp_path / "whole.ubj")
    booster = xgboost.train({"objective": "multi:softmax", "num_class": 3}, xgboost.DMatrix(*flowers), 5)
    booster.save_model(tmp_path / "bare.json")
    models = [fitted, tmp_path / "whole.ubj", booster, tmp_path / "bare.json"]
    assert [answer(XGBoostModel(model=model), {"inputs": ROWS})["outputs"] for model in models] == [[0, 2]] * 4
    probable = answer(XGBoostModel(model=tmp_path / "whole.ubj", method="predict_proba"), ROWS)
    assert numpy.argmax(probable, axis=1).tolist() == [0, 2]


def test_a_lightgbm_model_as_object_and_file(flowers: tuple[Any, Any], tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    fitted = lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(*flowers)
    fitted.booster_.save_model(tmp_path / "flowers.txt")
    models = [fitted, fitted.booster_, tmp_path / "flowers.txt"]
    answers = [answer(LightGBMModel(model=model), {"inputs": ROWS})["outputs"] for model in models]
    assert answers == [pytest.approx(fitted.predict(numpy.array(ROWS)))] * 3


@pytest.mark.parametrize("kind", [XGBoostModel, LightGBMModel])
def test_other_files_are_refused(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"")
    with pytest.raises(GraphError, match=r"model\.pkl\" is none of \..*; save the model with"):
        graph_of(kind(model=tmp_path / "model.pkl")).ready()


# --- packages that are not there ---


@pytest.mark.parametrize(
    ("step", "module", "sentence"),
    [
        ("OnnxModel", "onnxruntime", "OnnxModel needs the package onnxruntime: pip install onnxruntime"),
        ("TorchModel", "torch", "TorchModel needs the package torch: pip install torch"),
        ("XGBoostModel", "xgboost", "XGBoostModel needs the package xgboost: pip install xgboost"),
        ("LightGBMModel", "lightgbm", "LightGBMModel needs the package lightgbm: pip install lightgbm"),
        ("HuggingFaceModel", "transformers",
         "HuggingFaceModel needs the package transformers torch: pip install transformers torch"),
    ],
)  # fmt: skip
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, step: str, module: str, sentence: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"{module}.fake", raising=False)
    graph = Graph("g")
    graph.to(step, "m", model="some/path")
    with pytest.raises(GraphError) as caught:
        graph.ready()
    assert str(caught.value) == sentence
