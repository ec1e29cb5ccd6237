"""The library of built-in steps; each name below can be used in a cell without an import.

A module is loaded when one of its names is first asked for, so that the library may grow and its import stays small.
"""

from __future__ import annotations

from typing import Any

from nbgraph.steps.library import Library

# One line a module: its steps, and what their arguments are made of.
MODULES = {
    "border": "QueueReader QueueWriter",
    "batch": "Batch",
    "choice": "Choice ChoiceByField Partition Partitioned",
    "collect": "Collector Gather ReduceToDataFrame ToDataFrame",
    "concurrent": "Concurrent",
    "endpoint": "Endpoint",
    "enrichment": "EnrichmentRouter",
    "ensemble": "VotingEnsemble",
    "features": "DropFeatures Imputer MapValues OneHotEncoder",
    "features_date": "DateExtractor",
    "features_metadata": "SetEventMetadata",
    "features_validate": "Validate",
    "fields": "DropColumns Extend Rename ReifyMetadata",
    "fold": "MapWithState Reduce",
    "join": "JoinWithTable",
    "merge": "Merge",
    "model": "ModelServer",
    "model_boosted": "LightGBMModel XGBoostModel",
    "model_huggingface": "HuggingFaceModel",
    "model_onnx": "OnnxModel",
    "model_sklearn": "SklearnModel",
    "model_torch": "TorchModel",
    "operators": "Filter FlatMap Flatten ForEach Map",
    "parallel": "ParallelRun",
    "queue": "Queue",
    "router": "ModelRouter Router",
    "runner": "ModelRunner",
    "remote": "BatchHttpRequests RemoteStep SendToHttp",
    "request": "HttpError HttpRequest HttpResponse",
    "sample": "SampleWindow",
    "source": "RowSource Source",
    "source_csv": "CSVSource",
    "source_frame": "DataFrameSource",
    "source_http": "HttpSource",
    "source_kafka": "KafkaSource",
    "source_nats": "NatsSource",
    "source_parquet": "ParquetSource",
    "source_sql": "SQLSource",
    "table": "Table",
    "table_cache": "Cache",
    "table_redis": "RedisDriver",
    "table_sqlite": "SqliteDriver",
    "target": "RowTarget Target",
    "target_csv": "CSVTarget",
    "target_http": "HttpTarget",
    "target_kafka": "KafkaTarget",
    "target_nats": "NatsTarget",
    "target_parquet": "ParquetTarget",
    "target_sql": "SQLTarget",
    "target_table": "TableTarget",
    "nbgraph.features.steps": "AddFeatures FeatureTarget",
    "windows": "FieldAggregator FixedWindows SlidingWindows",
    "windows_aggregate": "AggregateByKey",
    "windows_query": "QueryByKey",
    "windows_emit": "AfterDelay AfterMaxEvent AfterPeriod AfterWindow EmitAfterDelay EmitAfterMaxEvent EmitAfterPeriod "
    "EmitAfterWindow EmitEveryEvent EveryEvent",
}

_library = Library({name: module for module, names in MODULES.items() for name in names.split()})

__all__ = sorted(name for names in MODULES.values() for name in names.split())


def catalogue() -> Library:
    """Everything that a graph may name: the built-in steps, then those of installed packages.

    >>> catalogue()["Map"].__name__, "Nothing" in catalogue()
    ('Map', False)
    """
    return _library


def __getattr__(name: str) -> Any:
    if name not in _library.modules:
        raise AttributeError(f"module 'nbgraph.steps' has no attribute {name!r}")
    return getattr(_library.module_of(name), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
