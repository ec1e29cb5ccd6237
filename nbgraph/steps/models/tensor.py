"""Tensors: arrays as the Open Inference Protocol writes them, in JSON and in its binary extension."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nbgraph.errors import NbgraphError, RequestError
from nbgraph.streams.codec.wire import encode

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

HEADER_LENGTH = "Inference-Header-Content-Length"  # of the JSON in front of the raw bytes
DATATYPES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "u2",
    "UINT32": "u4",
    "UINT64": "u8",
    "INT8": "i1",
    "INT16": "i2",
    "INT32": "i4",
    "INT64": "i8",
    "FP16": "f2",
    "FP32": "f4",
    "FP64": "f8",
}
TEXT = "BYTES"
SPECIAL = {None: math.nan, "NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # as in protobuf's JSON
FITTING = {"b": "b", "u": "bui", "i": "bui", "f": "buif"}  # kinds of NumPy types that a kind can be written with


def array_of(tensor: Mapping[str, Any]) -> Array:
    """The array of a tensor; null is NaN among floating-point numbers, and nothing among others.

    >>> array_of({"name": "x", "shape": [2, 2], "datatype": "INT32", "data": [1, 2, 3, 4]}).tolist()
    [[1, 2], [3, 4]]
    >>> array_of({"name": "x", "shape": [3], "datatype": "FP32", "data": [1, 2]})
    Traceback (most recent call last):
    nbgraph.errors.RequestError: Tensor "x" has shape [3], so it needs 3 elements, but its data has 2.
    """

    name, datatype, shape = tensor.get("name"), tensor["datatype"], tensor["shape"]
    _check_head(name, datatype, shape)
    data = tensor.get("data")
    if isinstance(data, bytes | bytearray | memoryview):
        return _of_bytes(str(name), datatype, shape, bytes(data))
    try:
        flat = _typed(_flat(data), datatype)
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(f'Tensor "{name}" has data that is not {datatype}: {error}.') from None
    return _shaped(str(name), flat, shape)


def tensor_of(name: str, values: Any, *, is_binary: bool = False) -> dict[str, Any]:
    """The tensor of values; for the binary extension its data are raw bytes.

    >>> tensor_of("y", [0.25, 0.5])
    {'name': 'y', 'datatype': 'FP64', 'shape': [2], 'data': [0.25, 0.5]}
    >>> tensor_of("y", ["a"], is_binary=True)["data"]
    b'\\x01\\x00\\x00\\x00a'
    """
    import numpy

    try:
        array = numpy.asarray(values)
    except ValueError:  # rows of unequal length
        array = numpy.empty(len(values), dtype=object)
        array[:] = values
    datatype = next((word for word, code in DATATYPES.items() if array.dtype == numpy.dtype(code)), TEXT)
    tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
    if datatype == TEXT:
        items = [_text(item, is_binary=is_binary) for item in array.ravel().tolist()]
        raw = _framed(items) if is_binary else b""
    elif not is_binary:
        items = array.ravel().tolist()
    else:
        raw = _little(array).tobytes()
    if not is_binary:
        return {**tensor, "data": items}
    return {**tensor, "parameters": {"binary_data_size": len(raw)}, "data": raw}


def joined(body: bytes, header_length: str | int) -> dict[str, Any]:
    """The request in a body of JSON and raw bytes behind it; its tensors hold their bytes as data."""
    header, raw = _cut(body, header_length)
    try:
        request = json.loads(header)
    except ValueError as error:
        raise RequestError(f"The first {len(header)} bytes of the body must be JSON: {error}.") from None
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise RequestError('The JSON in front of the raw bytes has no list "inputs".')
    at = 0
    inputs = []
    for tensor in request["inputs"]:
        size = _binary_size(tensor)
        if size is not None:
            tensor, at = {**tensor, "data": raw[at : at + size]}, at + size
        inputs.append(tensor)
    if at != len(raw):
        raise RequestError(f"The tensors name {at} raw bytes (binary_data_size), but the body has {len(raw)}.")
    return {**request, "inputs": inputs}


def parted(response: Any) -> tuple[bytes, int] | None:
    """The body of a response that has raw tensors, and the length of its JSON; None for any other answer."""
    outputs = response.get("outputs") if isinstance(response, Mapping) else None
    if not isinstance(outputs, list) or not any(map(_is_raw, outputs)):
        return None
    raw = b"".join(tensor["data"] for tensor in outputs if _is_raw(tensor))
    bare = [
        {key: value for key, value in tensor.items() if key != "data"} if _is_raw(tensor) else tensor
        for tensor in outputs
    ]
    header = encode(written({**response, "outputs": bare}))
    return header + raw, len(header)


def written(answer: Any) -> Any:
    """An answer for JSON: infinite numbers, which JSON lacks, are written as in protobuf's JSON.

    >>> written({"outputs": [{"name": "y", "datatype": "FP64", "shape": [2], "data": [float("inf"), 1.0]}]})
    {'outputs': [{'name': 'y', 'datatype': 'FP64', 'shape': [2], 'data': ['Infinity', 1.0]}]}
    """
    outputs = answer.get("outputs") if isinstance(answer, Mapping) else None
    if not isinstance(outputs, list) or not any(map(_is_infinite, outputs)):
        return answer
    return {**answer, "outputs": [_finite(one) if _is_infinite(one) else one for one in outputs]}


def _is_infinite(tensor: Any) -> bool:
    if (
        not is_tensor(tensor)
        or not str(tensor["datatype"]).startswith("FP")
        or not isinstance(tensor.get("data"), list)
    ):
        return False
    return any(type(item) is float and math.isinf(item) for item in tensor["data"])


def _finite(tensor: Mapping[str, Any]) -> dict[str, Any]:
    words = {value: word for word, value in SPECIAL.items() if value in (math.inf, -math.inf)}
    return {**tensor, "data": [words.get(item, item) for item in tensor["data"]]}


def is_tensor(value: Any) -> bool:
    return type(value) is not list and isinstance(value, Mapping) and "datatype" in value and "shape" in value


def _is_raw(tensor: Any) -> bool:
    return is_tensor(tensor) and isinstance(tensor.get("data"), bytes)


def _check_head(name: Any, datatype: Any, shape: Any) -> None:
    if not isinstance(datatype, str) or (datatype not in DATATYPES and datatype != TEXT):
        raise RequestError(f'Tensor "{name}" has datatype {datatype!r}; known are {", ".join([*DATATYPES, TEXT])}.')
    sizes = shape if isinstance(shape, list | tuple) else [None]
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise RequestError(f'Tensor "{name}" has shape {shape!r}; expected a list of whole numbers from 0.')


def _of_bytes(name: str, datatype: str, shape: list[int], raw: bytes) -> Array:
    import numpy

    if datatype == TEXT:
        return _shaped(name, numpy.array([*_unframed(name, raw)], dtype=object), shape)
    dtype = numpy.dtype(DATATYPES[datatype]).newbyteorder("<")
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise RequestError(
            f'Tensor "{name}" is {datatype} of shape {shape}, which is {math.prod(shape) * dtype.itemsize} bytes, '
            f"but it came with {len(raw)}."
        )
    return _shaped(name, numpy.frombuffer(raw, dtype), shape)


def _shaped(name: str, flat: Array, shape: list[int]) -> Array:
    if flat.size != math.prod(shape):
        raise RequestError(
            f'Tensor "{name}" has shape {shape}, so it needs {math.prod(shape)} elements, but its data has {flat.size}.'
        )
    try:
        return flat.reshape(shape)
    except (ValueError, OverflowError) as error:  # too many dimensions, a size beyond any memory beside one of none
        raise RequestError(f'Tensor "{name}" has shape {shape}, which no array can have: {error}.') from None


def _typed(items: list[Any], datatype: str) -> Array:
    import numpy

    if datatype == TEXT:
        return _texts(items)
    dtype = numpy.dtype(DATATYPES[datatype])
    odd = {type(None), str} & set(map(type, items))
    if odd and dtype.kind == "f":
        items = [SPECIAL.get(item, item) if type(item) in odd else item for item in items]
    elif type(None) in odd:
        raise TypeError("it holds null")
    with numpy.errstate(over="ignore"):
        array = numpy.array(items, dtype=dtype)
    if dtype.itemsize < 8 and dtype.kind == "f" and (beyond := _beyond(items, array)) is not None:
        raise OverflowError(f"{beyond} is beyond it")
    kind, found = array.dtype.kind, numpy.asarray(items).dtype.kind
    if items and found not in FITTING[kind]:  # NumPy would truncate 1.5 to 1, and read "1" as 1
        strange = next((item for item in items if kind not in "ui" or type(item) is not int), None)
        if strange is not None:  # whole numbers of which some are very large have no kind in common
            raise TypeError(f"it holds {type(strange).__name__}")
    return array


def _texts(items: list[Any]) -> Array:
    import numpy

    strange = next((item for item in items if not isinstance(item, str | bytes)), "")
    if strange != "" and not isinstance(strange, str | bytes):
        raise TypeError(f"it holds {'null' if strange is None else type(strange).__name__}")
    array = numpy.empty(len(items), dtype=object)
    array[:] = items
    return array


def _beyond(items: list[Any], array: Array) -> Any:
    """A number outside the range of the narrow type, which would have become infinite."""
    import numpy

    places = numpy.flatnonzero(numpy.isinf(array)).tolist()
    return next((items[place] for place in places if not math.isinf(items[place])), None)


def _flat(data: Any) -> list[Any]:
    """The elements of flat or nested data."""
    if not isinstance(data, list | tuple):
        raise TypeError(f"expected a list, found {type(data).__name__}")
    items: list[Any] = list(data)
    while items and any(isinstance(item, list | tuple) for item in items):
        items = [part for item in items for part in (item if isinstance(item, list | tuple) else [item])]
    return items


def _unframed(name: str, raw: bytes) -> Iterable[str | bytes]:
    """Texts of the binary form: each has its length in front, four bytes, the lowest first."""
    at = 0
    while at < len(raw):
        end = at + 4 + (struct.unpack_from("<I", raw, at)[0] if at + 4 <= len(raw) else len(raw))
        if end > len(raw):
            raise RequestError(f'Tensor "{name}" ends in the middle of an element of its raw {TEXT}.')
        element = raw[at + 4 : end]
        try:
            yield element.decode()
        except UnicodeDecodeError:
            yield element
        at = end


def _framed(items: Iterable[str | bytes]) -> bytes:
    encoded = (item if isinstance(item, bytes) else item.encode() for item in items)
    return b"".join(struct.pack("<I", len(raw)) + raw for raw in encoded)


def _text(item: Any, *, is_binary: bool) -> str | bytes:
    if isinstance(item, bytes):
        return item if is_binary else _decoded(item)
    if isinstance(item, str):
        return item
    try:
        return json.dumps(item)
    except (TypeError, ValueError) as error:
        raise NbgraphError(f"An output holds {type(item).__name__}, which no tensor can: {error}.") from None


def _decoded(item: bytes) -> str:
    try:
        return item.decode()
    except UnicodeDecodeError:
        raise NbgraphError(
            "An output holds bytes that are not text, which JSON can't hold; ask for it with binary_data."
        ) from None


def _little(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _cut(body: bytes, header_length: str | int) -> tuple[bytes, bytes]:
    try:
        length = int(header_length)
    except ValueError:
        length = -1
    if not 0 <= length <= len(body):
        raise RequestError(f"{HEADER_LENGTH} is {header_length!r}; the body has {len(body)} bytes.")
    return body[:length], body[length:]


def _binary_size(tensor: Any) -> int | None:
    parameters = tensor.get("parameters") if isinstance(tensor, Mapping) else None
    size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
    if size is not None and (type(size) is not int or size < 0):
        raise RequestError(f'Tensor "{tensor.get("name")}" has binary_data_size {size!r}; expected bytes, from 0.')
    return size
