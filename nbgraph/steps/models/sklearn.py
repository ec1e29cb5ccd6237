"""SklearnModel: an estimator with scikit-learn's interface as a step."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError, RequestError
from nbgraph.handler import Counterpart
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.models.files import read_estimator
from nbgraph.steps.models.server import ModelServer

__all__ = ["SklearnModel"]


class SklearnModel(ModelServer):
    """A scikit-learn model, given as an object or as the path of a `.skops` file.

    >>> from nbgraph import Graph
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit([[0], [1], [4], [5]], [0, 0, 1, 1])
    >>> graph = Graph("g")
    >>> _ = graph.to(SklearnModel(model=model), "late").respond()
    >>> graph.run([5]), graph.run([[0], [4]]), graph.run({"inputs": [[0], [4]]})
    (1, [0, 1], {'model_name': 'late', 'outputs': [0, 1]})

    `method` is the method to call: "predict", "predict_proba", "decision_function", "transform". Rows may be lists, or
    records: dicts from which a model that was fitted on a DataFrame takes its columns, others their values in order.
    A pickle is read if it is an artifact of the deployed graph, or with `allow_pickle=True`; of a `.skops` file, types
    that skops does not know as harmless are named in `trusted`.

    Parameters
    ----------
    method
        Method that is called, such as `"predict"`, `"predict_proba"`, `"decision_function"` or `"transform"`.
    trusted
        Types that skops does not know as harmless, by name.
    """

    counterpart = Counterpart("SKLearnModelServer")

    platform = "sklearn"

    def __init__(
        self,
        model: Any = None,
        model_path: str | Path | None = None,
        *,
        method: str = "predict",
        trusted: Names = (),
        **options: Any,
    ) -> None:
        super().__init__(model, model_path, **options)
        self.method, self.trusted = method, tuple(names_of(trusted, "SklearnModel", "trusted"))

    def load(self) -> None:
        if self.model is None:
            self.model = self.read()
        self._call_model = getattr(self.model, self.method, None)
        if self._call_model is None:
            raise GraphError(f'Model "{self.name}" is a {type(self.model).__name__}, which has no {self.method}().')
        self._names = _names(self.model)
        self.takes_arrays = not self._names
        self._width = getattr(self.model, "n_features_in_", None)
        if self._names and not self.inputs:
            self.inputs = [{"name": name, "datatype": "FP64", "shape": [-1]} for name in self._names]

    def read(self) -> Any:
        """The model in the file at `model_path`."""
        if self.model_path is None:
            raise GraphError(f'Model "{self.name}" has neither a model nor a path: SklearnModel(model=...).')
        file, _ = self.get_model()
        return read_estimator(file, allow_pickle=self.allow_pickle, trusted=self.trusted)

    def predict(self, request: dict[str, Any]) -> Any:
        features = self._features(request["inputs"])
        if self._names and not self._has_frames:
            return self._without_names(features)
        return self._called(features)

    def predict_array(self, array: Any) -> Any:
        if array.ndim != 2 or self._width != array.shape[1]:
            return self.predict({"inputs": array})
        return self._called(array)

    def _called(self, features: Any) -> Any:
        assert self._call_model is not None
        try:
            return self._call_model(features)
        except (TypeError, ValueError) as error:
            raise RequestError(f'Model "{self.name}" can\'t predict these inputs: {error}') from error

    def _features(self, rows: Any) -> Any:
        """What the model's method takes: an array, a list of texts, or a frame where it was fitted on one."""
        if hasattr(rows, "columns"):
            return rows
        if hasattr(rows, "dtype") and not self._names:
            return self._array(rows)
        first = rows[0] if len(rows) else None
        if isinstance(first, Mapping):
            rows = self._picked(rows)
        elif isinstance(first, str) and not self._names:
            return rows
        return self._framed(rows) if self._names else self._array(rows)

    def _picked(self, records: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        strange = next((record for record in records if not isinstance(record, Mapping)), None)
        if strange is not None or None in records:
            raise RequestError(f'Model "{self.name}" got records and, among them, a {type(strange).__name__}.')
        names = self._names or tuple(records[0])  # without names the first row decides the order
        try:
            return [[record[name] for name in names] for record in records]
        except KeyError as missing:
            needed = ", ".join(map(str, names)) if len(names) <= 8 else f"{len(names)} features"
            raise RequestError(f'Model "{self.name}" needs {needed}; a row has no {missing}.') from None

    def _array(self, rows: Any) -> Any:
        import numpy

        try:
            array = numpy.asarray(rows)
        except ValueError:
            raise RequestError(f'Model "{self.name}" got rows of different lengths.') from None
        if array.ndim == 1:
            array = array.reshape(-1, 1) if self._width == 1 else array
        if self._width is not None and array.ndim == 2 and array.shape[1] != self._width:
            raise RequestError(f'Model "{self.name}" takes {self._width} features a row, but got {array.shape[1]}.')
        return array

    def _framed(self, rows: Any) -> Any:
        """Rows with the names that the model was fitted with; without pandas, in their order."""
        array = rows if isinstance(rows, list) else self._array(rows)
        # one width for each row: pandas would fill what a short one lacks
        widths = (
            {_width(row) for row in array} if isinstance(array, list) else {array.shape[1] if array.ndim > 1 else 1}
        )
        if widths - {len(self._names)}:
            found = ", ".join(map(str, sorted(widths)))
            raise RequestError(f'Model "{self.name}" takes {len(self._names)} features a row, but got {found}.')
        if not self._has_frames:
            return self._array(array)
        import pandas

        return pandas.DataFrame(array, columns=list(self._names))

    @cached_property
    def _has_frames(self) -> bool:
        from importlib.util import find_spec

        return find_spec("pandas") is not None

    def _without_names(self, features: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return self._called(features)


def _width(row: Any) -> int:
    return len(row) if hasattr(row, "__len__") and not isinstance(row, str) else 1


def _names(model: Any) -> tuple[str, ...]:
    names = getattr(model, "feature_names_in_", None)
    return () if names is None else tuple(map(str, names))
