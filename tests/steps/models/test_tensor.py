"""Tensors of the protocol: JSON and raw bytes, there and back; wrong ones refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from nbgraph.errors import RequestError
from nbgraph.steps.models.tensor import DATATYPES, array_of, joined, parted, tensor_of

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
NUMBERS = some.sampled_from(sorted(DATATYPES.values())).flatmap(lambda code: arrays.arrays(numpy.dtype(code), SHAPES))


@given(NUMBERS)
def test_raw_tensors_come_back_as_they_were(array: Any) -> None:
    found = there_and_back(tensor_of("x", array, is_binary=True))
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(NUMBERS)
def test_json_tensors_come_back_as_they_were(array: Any) -> None:
    found = array_of(json.loads(json.dumps(tensor_of("x", array))))
    assert found.dtype == array.dtype
    numpy.testing.assert_array_equal(found, array)


@given(arrays.arrays(object, SHAPES, elements=some.text(), fill=some.nothing()), some.booleans())
def test_texts_come_back_as_they_were(array: Any, is_binary: bool) -> None:
    tensor = tensor_of("x", array, is_binary=is_binary)
    found = there_and_back(tensor) if is_binary else array_of(tensor)
    assert (found.shape, found.tolist()) == (array.shape, array.tolist())


def there_and_back(tensor: dict[str, Any]) -> Any:
    """Sent as a response's output, read as a request's input."""
    sent = parted({"outputs": [tensor]})
    assert sent is not None
    body, length = sent
    header = json.loads(body[:length])
    request = json.dumps({"inputs": header["outputs"]}).encode()
    return array_of(joined(request + body[length:], len(request))["inputs"][0])


def test_outputs_that_are_no_arrays() -> None:
    found = [tensor_of("y", values) for values in ([[1, 2], [3]], [{"label": "a", "score": 1}], ["a", None])]
    assert [(tensor["datatype"], tensor["shape"], tensor["data"]) for tensor in found] == [
        ("BYTES", [2], ["[1, 2]", "[3]"]),
        ("BYTES", [1], ['{"label": "a", "score": 1}']),
        ("BYTES", [2], ["a", "null"]),
    ]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"datatype": "FP8"}, "Tensor \"x\" has datatype 'FP8'; known are BOOL, UINT8"),
        ({"shape": [2, -1]}, 'Tensor "x" has shape [2, -1]; expected a list of whole numbers from 0.'),
        ({"shape": "two"}, "Tensor \"x\" has shape 'two'; expected a list"),
        ({"shape": [3]}, 'Tensor "x" has shape [3], so it needs 3 elements, but its data has 2.'),
        ({"data": None}, 'Tensor "x" has data that is not INT32: expected a list, found NoneType.'),
        ({"data": [1.5, 2]}, 'Tensor "x" has data that is not INT32: it holds float.'),
        ({"data": ["1", "2"]}, 'Tensor "x" has data that is not INT32: it holds str.'),
        ({"data": [2**40, 1]}, 'Tensor "x" has data that is not INT32: Python integer 1099511627776 out of bounds'),
        ({"data": b"1234"}, 'Tensor "x" is INT32 of shape [2], which is 8 bytes, but it came with 4.'),
        ({"data": b"\xff\xff\xff\xff1", "datatype": "BYTES"}, 'Tensor "x" ends in the middle of an element'),
        ({"data": b"\x01", "datatype": "BYTES"}, 'Tensor "x" ends in the middle of an element'),
    ],
)
def test_wrong_tensors_are_refused(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        array_of({"name": "x", "shape": [2], "datatype": "INT32", "data": [1, 2], **changed})
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("header", "length", "sentence"),
    [
        (b"{", None, "The first 1 bytes of the body must be JSON:"),
        (b"[]", None, 'The JSON in front of the raw bytes has no list "inputs".'),
        (b'{"inputs": []}', None, "The tensors name 0 raw bytes (binary_data_size), but the body has 4."),
        (b'{"inputs": [{"parameters": {"binary_data_size": "4"}}]}', None, 'Tensor "None" has binary_data_size'),
        (b"{}", "two", "Inference-Header-Content-Length is 'two'; the body has 6 bytes."),
        (b"{}", "-1", "Inference-Header-Content-Length is '-1'; the body has 6 bytes."),
    ],
)
def test_wrong_bodies_are_refused(header: bytes, length: str | None, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        joined(header + b"1234", length if length is not None else len(header))
    assert str(caught.value).startswith(sentence)
