"""Inference: a request for predictions: its rows, and the form of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from nbgraph.errors import RequestError
from nbgraph.event import Event
from nbgraph.steps.models.request import ModelRequest
from nbgraph.steps.models.tensor import HEADER_LENGTH, array_of, is_tensor, joined, tensor_of


class NoRows(dict[str, Any]):
    """Named tensors that are not columns of a table: a model with several inputs reads them by name, a model of rows
    refuses the request.

    >>> import numpy
    >>> list(NoRows({"a": numpy.zeros(1), "b": numpy.zeros(2)}))
    Traceback (most recent call last):
    nbgraph.errors.RequestError: The model takes rows, but the tensors are no columns of a table: "a" has shape [1], ...
    """

    def __iter__(self) -> Any:
        raise self._error()

    def __missing__(self, key: Any) -> Any:
        if isinstance(key, str):
            raise KeyError(key)
        raise self._error()

    def _error(self) -> RequestError:
        shapes = ", ".join(f'"{name}" has shape {list(array.shape)}' for name, array in self.items())
        return RequestError(f"The model takes rows, but the tensors are no columns of a table: {shapes}.")


class RequestForm(Enum):
    """The form of a request, and so of its answer."""

    ONE = "one"  # the body is a row: the answer is its prediction
    MANY = "many"  # the body is rows: the answer is the list of predictions
    REQUEST = "request"  # {"inputs": rows}: the answer is {"model_name": ..., "outputs": predictions}
    TENSORS = "tensors"  # {"inputs": tensors}: the answer's outputs are tensors


@dataclass(slots=True)
class Inference:
    """A request: `request` is what a model's hooks get, a dict whose "inputs" are rows.

    >>> inference_of(Event({"amount": 120})).request
    {'inputs': [{'amount': 120}]}
    >>> inference_of(Event([[1, 2], [3, 4]])).answer("m1", [0.1, 0.2])
    [0.1, 0.2]
    >>> inference_of(Event({"inputs": [[1, 2]], "id": "a"})).answer("m1", [0.1])
    {'id': 'a', 'model_name': 'm1', 'outputs': [0.1]}
    """

    form: RequestForm
    request: dict[str, Any]
    id: str | None = None
    wanted: list[Mapping[str, Any]] = field(default_factory=list)  # the outputs that a tensor request names
    is_binary: bool = False  # whether outputs are raw bytes where the request does not say it for each

    def response(self, model: str, outputs: Any, version: str | None = None, names: list[str] | None = None) -> Any:
        """The response as a model's `postprocess` sees it."""
        response: dict[str, Any] = {} if self.id is None else {"id": self.id}
        response["model_name"] = model
        if version:
            response["model_version"] = version
        if self.form is RequestForm.TENSORS:
            return {**response, "outputs": self._tensors(outputs, names or [])}
        return {**response, "outputs": plain(outputs)}

    def answered(self, response: Any) -> Any:
        """The answer to the caller, made from a response."""
        if self.form is RequestForm.ONE:
            return _only(response["outputs"])
        return response["outputs"] if self.form is RequestForm.MANY else response

    def answer(self, model: str, outputs: Any, version: str | None = None, names: list[str] | None = None) -> Any:
        return self.answered(self.response(model, outputs, version, names))

    def _tensors(self, outputs: Any, names: list[str]) -> list[dict[str, Any]]:
        named = outputs if isinstance(outputs, Mapping) else {(names or ["output_0"])[0]: outputs}
        if not self.wanted:
            return [tensor_of(name, values, is_binary=self.is_binary) for name, values in named.items()]
        tensors = []
        for output in self.wanted:
            if output.get("name") not in named:
                raise RequestError(f"There is no output {output.get('name')!r}; the outputs are {', '.join(named)}.")
            is_binary = (output.get("parameters") or {}).get("binary_data", self.is_binary)
            tensors.append(tensor_of(output["name"], named[output["name"]], is_binary=bool(is_binary)))
        return tensors


def inference_of(event: Event, asked: ModelRequest | None = None) -> Inference:
    """The request in an event's body; a request of the protocol must have "inputs"."""
    body = event.body
    if type(body) is dict and "inputs" in body:
        return _of_request(body, event.id if asked is not None and asked.by_path else None)
    if isinstance(body, str | bytes | bytearray):
        length = next((value for name, value in event.headers.items() if name.lower() == HEADER_LENGTH.lower()), None)
        if length is not None:
            body = joined(body.encode() if isinstance(body, str) else bytes(body), length)
    by_path = asked is not None and asked.by_path
    if isinstance(body, Mapping) and "inputs" in body:
        return _of_request(body, event.id if by_path else None)
    if by_path:
        found = ", ".join(map(str, body)) if isinstance(body, Mapping) else type(body).__name__
        raise RequestError(
            f'The request has no "inputs"; found: {found or "nothing"}. Expected {{"inputs": [row, ...]}}.'
        )
    return (
        Inference(RequestForm.MANY, {"inputs": body})
        if is_many(body)
        else Inference(RequestForm.ONE, {"inputs": [body]})
    )


def _of_request(body: Mapping[str, Any], id: str | None) -> Inference:
    inputs = body["inputs"]
    request = {**body}
    own_id = body.get("id", id)
    if not isinstance(inputs, list) or not inputs or not is_tensor(inputs[0]):
        return Inference(RequestForm.REQUEST, request, own_id)
    if not all(map(is_tensor, inputs)):
        raise RequestError('Where the first of "inputs" is a tensor, all must be, with name, shape, datatype and data.')
    arrays = {str(tensor.get("name")): array_of(tensor) for tensor in inputs}
    if len(arrays) < len(inputs):
        raise RequestError(f"Two of the tensors have one name; their names are {', '.join(map(str, _names(inputs)))}.")
    request["tensors"], request["inputs"] = arrays, _rows(arrays)
    parameters = body.get("parameters")
    is_binary = isinstance(parameters, Mapping) and bool(parameters.get("binary_data_output"))
    wanted = body.get("outputs") or []
    if not isinstance(wanted, list) or not all(map(_is_output, wanted)):
        raise RequestError(f'"outputs" is {wanted!r}; expected a list such as [{{"name": "output_0"}}].')
    return Inference(RequestForm.TENSORS, request, own_id, wanted, is_binary)


def _names(tensors: list[Any]) -> list[Any]:
    return [tensor.get("name") for tensor in tensors]


def _is_output(output: Any) -> bool:
    is_named = isinstance(output, Mapping) and isinstance(output.get("name"), str)
    return is_named and isinstance(output.get("parameters") or {}, Mapping)


def _only(outputs: Any) -> Any:
    """The one prediction; by name where the model gives several outputs."""
    if isinstance(outputs, Mapping):
        return {name: _only(values) for name, values in outputs.items()}
    return outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs


def _rows(arrays: Mapping[str, Any]) -> Any:
    """One tensor holds the rows; several are the columns of records."""
    if len(arrays) == 1:
        (array,) = arrays.values()
        if not array.ndim:
            return NoRows(arrays)
        return array.tolist() if array.dtype == object else array
    sizes = {array.shape[:1] for array in arrays.values()}
    if len(sizes) != 1 or () in sizes:
        return NoRows(arrays)
    columns = [(name, array.reshape(len(array), -1)) for name, array in arrays.items()]
    if any(column.shape[1] != 1 for _, column in columns):
        return NoRows(arrays)
    names = [name for name, _ in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*(_flat(column) for _, column in columns), strict=True)]


def _flat(column: Any) -> list[Any]:
    values: list[Any] = column.ravel().tolist()
    return values


def is_many(body: Any) -> bool:
    """Whether a body that is not a request holds several rows.

    >>> is_many([[1, 2], [3, 4]]), is_many([1, 2]), is_many(["a", "b"]), is_many({"a": 1})
    (True, False, True, False)
    """
    if isinstance(body, list | tuple):
        return bool(body) and (isinstance(body[0], list | tuple | Mapping | str) or getattr(body[0], "ndim", 0) > 0)
    return getattr(body, "ndim", 0) == 2  # an array or a DataFrame, known without importing their packages


def array_of_rows(rows: Any) -> Any:
    """Lists of numbers as one array, made once for several models; None for rows of any other kind."""
    if type(rows) is not list or not rows or type(rows[0]) is not list:
        return None
    import numpy

    try:
        return numpy.asarray(rows)
    except ValueError:
        return None


def plain(outputs: Any) -> Any:
    """Outputs as lists and numbers that JSON can hold."""
    if type(outputs) is list:
        return outputs
    convert = getattr(outputs, "tolist", None)
    if convert is not None:
        return convert()
    return {name: plain(values) for name, values in outputs.items()} if isinstance(outputs, Mapping) else outputs
