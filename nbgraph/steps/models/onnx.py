"""OnnxModel: a model in the ONNX format, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError, RequestError
from nbgraph.handler import Counterpart
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.models.server import ModelServer
from nbgraph.steps.optional import package

__all__ = ["OnnxModel"]

DATATYPES = {
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(float16)": "FP16",
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT32",
    "tensor(int16)": "INT16",
    "tensor(int8)": "INT8",
    "tensor(uint8)": "UINT8",
    "tensor(bool)": "BOOL",
    "tensor(string)": "BYTES",
}


class OnnxModel(ModelServer):
    """An ONNX model, given as a path, as bytes, or as the object that a converter returns.

    >>> from nbgraph import Graph
    >>> from sklearn.linear_model import LinearRegression
    >>> from skl2onnx import to_onnx
    >>> import numpy
    >>> fitted = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    >>> graph = Graph("g")
    >>> _ = graph.to(OnnxModel(model=to_onnx(fitted, numpy.zeros((1, 1), numpy.float32))), "line").respond()
    >>> graph.run({"inputs": [[0], [2]]})
    {'model_name': 'line', 'outputs': [[1.0], [5.0]]}

    `output` names the output that is the prediction, by default the first; tensor requests get all of them, or those
    they name. `providers` are ONNX Runtime's execution providers, by default the CPU.

    Parameters
    ----------
    output
        Output that is the prediction; None: the first.
    providers
        ONNX Runtime's execution providers.
    """

    counterpart = Counterpart("ONNXModelServer")
    packages = ("onnxruntime",)

    platform = "onnxruntime"

    def __init__(
        self,
        model: Any = None,
        model_path: str | Path | None = None,
        *,
        output: str | None = None,
        providers: Names = ("CPUExecutionProvider",),
        **options: Any,
    ) -> None:
        super().__init__(model, model_path, **options)
        self.output, self.providers = output, names_of(providers, "OnnxModel", "providers")

    def load(self) -> None:
        runtime = package("onnxruntime", "OnnxModel")
        self._session = runtime.InferenceSession(self._source(), providers=self.providers)
        self._inputs = self._session.get_inputs()
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._wrong = (runtime.capi.onnxruntime_pybind11_state.InvalidArgument, TypeError, ValueError)
        if self.output is not None and self.output not in self._outputs:
            raise GraphError(f'Model "{self.name}" has no output "{self.output}"; it has {", ".join(self._outputs)}.')
        self.inputs = self.inputs or [_field(value) for value in self._inputs]
        self.outputs = self.outputs or [_field(value) for value in self._session.get_outputs()]

    def predict(self, request: dict[str, Any]) -> Any:
        tensors = request.get("tensors")
        feed = self._feed(request["inputs"]) if tensors is None else self._named(tensors)
        wanted = None if tensors is not None else [self.output or self._outputs[0]]
        try:
            found = self._session.run(wanted, feed)
        except self._wrong as error:
            raise RequestError(f'Model "{self.name}" can\'t predict these inputs: {error}') from error
        return dict(zip(self._outputs, found, strict=True)) if wanted is None else found[0]

    def _source(self) -> Any:
        if self.model is None:
            return self.get_model(".onnx")[0]
        return self.model if isinstance(self.model, bytes) else self.model.SerializeToString()

    def _feed(self, rows: Any) -> dict[str, Any]:
        """Rows as the one input, or their fields as several."""
        if rows and isinstance(rows[0], Mapping):
            if len(self._inputs) == 1:
                return {self._inputs[0].name: self._cast([list(row.values()) for row in rows], self._inputs[0])}
            return {
                value.name: self._column([_field_of(row, value.name) for row in rows], value) for value in self._inputs
            }
        if len(self._inputs) == 1:
            return {self._inputs[0].name: self._cast(rows, self._inputs[0])}
        columns = list(zip(*rows, strict=True))
        if len(columns) != len(self._inputs):
            raise RequestError(f'Model "{self.name}" takes {len(self._inputs)} inputs a row, but got {len(columns)}.')
        return {
            value.name: self._column(list(column), value) for value, column in zip(self._inputs, columns, strict=True)
        }

    def _named(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        known = {value.name: value for value in self._inputs}
        if len(tensors) == 1 == len(known):  # one input: its name does not matter
            tensors = dict(zip(known, tensors.values(), strict=True))
        if set(tensors) != set(known):
            raise RequestError(f'Model "{self.name}" takes {", ".join(known)}; the request has {", ".join(tensors)}.')
        return {name: self._cast(array, known[name]) for name, array in tensors.items()}

    def _column(self, values: list[Any], value: Any) -> Any:
        array = self._cast(values, value)
        return array.reshape(-1, 1) if array.ndim == 1 and len(value.shape) == 2 else array

    def _cast(self, values: Any, value: Any) -> Any:
        import numpy

        from nbgraph.steps.models.tensor import DATATYPES as CODES

        word = DATATYPES.get(value.type, "")
        try:
            return numpy.asarray(values, dtype=CODES.get(word, object))
        except (TypeError, ValueError) as error:
            raise RequestError(f'Model "{self.name}", input "{value.name}" is {value.type}: {error}') from None


def _field(value: Any) -> dict[str, Any]:
    """An input or output in the form of the protocol; -1 stands for a variable size."""
    shape = [size if isinstance(size, int) else -1 for size in value.shape]
    return {"name": value.name, "datatype": DATATYPES.get(value.type, value.type), "shape": shape}


def _field_of(row: Mapping[str, Any], name: str) -> Any:
    try:
        return row[name]
    except KeyError:
        raise RequestError(f'A row has no "{name}"; it has {", ".join(map(str, row))}.') from None
