"""Moved: modules that earlier versions had, which exported projects, artifacts and documents name.

    from nbgraph.steps.windows_aggregate import AggregateByKey      # in the handlers.py of an old export

Such a module is a stand-in, whose names are looked up in the catalogue. The steps themselves name it nowhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_GONE = """
asked batch border branch choice collect concurrent csv_column enrichment ensemble entry fan features_date
features_fields features_metadata features_validate fields files flight fold frame inference inherit join merge
microbatch model model_boosted model_file model_huggingface model_onnx model_sklearn model_torch names number package
parallel parquet_type plain portal processes queue remote repository request router runner sample shadow share source
source_csv source_frame source_http source_kafka source_nats source_parquet source_progress source_sql sql_column table
table_cache table_codec table_redis table_sqlite target target_csv target_http target_kafka target_nats target_parquet
target_sql target_table tensor windows_aggregate windows_arrays windows_code windows_emit windows_frame windows_held
windows_query windows_series windows_store windows_text wire worker
"""
MODULES = frozenset(f"nbgraph.steps.{name}" for name in _GONE.split())
# Classes that no catalogue has, but that pickles of steps refer to: their names then, and where they are.
RENAMED = {
    "Branch": "nbgraph.steps.routers.route.BoundRoute",
    "Fan": "nbgraph.steps.routers.fan_out.FanOut",
    "Memory": "nbgraph.steps.tables.table.MemoryDriver",
    "Rows": "nbgraph.steps.tables.table.RowCopier",
    "Sender": "nbgraph.steps.http.client.HttpSender",
    "Shares": "nbgraph.steps.routers.weights.RouteWeights",
}


class MovedModules:
    """Finds the modules that are gone; `import` asks it after all others, and it makes the stand-ins."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        loader: Any = self  # to derive from importlib's Loader would import ten modules more
        return ModuleSpec(name, loader) if name in MODULES else None

    def create_module(self, spec: ModuleSpec) -> None:
        """A plain module will do."""

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = partial(moved, module.__name__)  # type: ignore[method-assign]  # PEP 562


def moved(module: str, name: str) -> Any:
    """What a module that is gone, or is a folder by now, had under a name.

    >>> moved("nbgraph.steps.target_csv", "CSVTarget").__module__
    'nbgraph.steps.targets.csv'
    """
    from nbgraph.steps import built_in

    if name in RENAMED:
        place, _, name = RENAMED[name].rpartition(".")
        return getattr(importlib.import_module(place), name)
    if name not in built_in():
        raise AttributeError(f"module {module!r} has no attribute {name!r}; its steps are in nbgraph.steps now")
    return built_in()[name]
