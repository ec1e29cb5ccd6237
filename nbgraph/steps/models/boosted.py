"""XGBoostModel and LightGBMModel: gradient boosted trees, read from the libraries' own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.handler import Counterpart
from nbgraph.steps.models.sklearn import SklearnModel
from nbgraph.steps.optional import package

__all__ = ["LightGBMModel", "XGBoostModel"]


class XGBoostModel(SklearnModel):
    """An XGBoost model, given as an object or as the path of a `.json` or `.ubj` file.

    >>> from nbgraph import Graph
    >>> from xgboost import XGBClassifier
    >>> fitted = XGBClassifier(n_estimators=4, min_child_weight=0).fit([[0], [1], [4], [5]], [0, 0, 1, 1])
    >>> graph = Graph("g")
    >>> _ = graph.to(XGBoostModel(model=fitted), "late").respond()
    >>> graph.run({"inputs": [[0], [5]]})
    {'model_name': 'late', 'outputs': [0, 1]}

    A file that scikit-learn's interface has saved is read as that again (`method="predict_proba"` works); another is a
    Booster, whose predictions are what its objective gives.
    """

    counterpart = Counterpart("XGBoostModelServer")
    packages = ("xgboost",)

    platform = "xgboost"

    def read(self) -> Any:
        xgboost = package("xgboost", "XGBoostModel")
        file, _ = self.get_model()
        _refuse_unless(file, (".json", ".ubj"), 'model.save_model("model.ubj")')
        booster = xgboost.Booster(model_file=file)
        kind = json.loads(booster.attr("scikit_learn") or "{}").get("_estimator_type")
        if kind not in ("classifier", "regressor"):
            return _Booster(booster, xgboost.DMatrix)
        estimator = xgboost.XGBClassifier() if kind == "classifier" else xgboost.XGBRegressor()
        estimator.load_model(file)
        return estimator

    def load(self) -> None:
        xgboost = package("xgboost", "XGBoostModel")
        if isinstance(self.model, xgboost.Booster):
            self.model = _Booster(self.model, xgboost.DMatrix)
        super().load()


class LightGBMModel(SklearnModel):
    """A LightGBM model, given as an object or as the path of a `.txt` file.

    >>> from nbgraph import Graph
    >>> from lightgbm import LGBMRegressor
    >>> fitted = LGBMRegressor(n_estimators=1, verbose=-1).fit([[row] for row in range(100)], range(100))
    >>> graph = Graph("g")
    >>> _ = graph.to(LightGBMModel(model=fitted), "delay").respond()
    >>> low, high = graph.run({"inputs": [[0], [99]]})["outputs"]
    >>> low < high
    True
    """

    counterpart = Counterpart("LGBMModelServer")
    packages = ("lightgbm",)

    platform = "lightgbm"

    def read(self) -> Any:
        lightgbm = package("lightgbm", "LightGBMModel")
        file, _ = self.get_model()
        _refuse_unless(file, (".txt", ".lgb"), 'model.booster_.save_model("model.txt")')
        return lightgbm.Booster(model_file=file)


class _Booster:
    """A bare Booster of XGBoost with the method that models have."""

    def __init__(self, booster: Any, matrix: Any) -> None:
        self._booster, self._matrix = booster, matrix
        self.n_features_in_ = booster.num_features()

    def predict(self, features: Any) -> Any:
        return self._booster.predict(self._matrix(features, feature_names=self._booster.feature_names))


def _refuse_unless(file: str, suffixes: tuple[str, ...], how: str) -> None:
    if Path(file).suffix.lower() not in suffixes:
        raise GraphError(f'"{file}" is none of {", ".join(suffixes)}; save the model with {how}.')
