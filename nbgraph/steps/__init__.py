"""The library of built-in steps; each name below can be used in a cell without an import.

A module is loaded when one of its names is first asked for, so that the library may grow and its import stays small.
"""

from __future__ import annotations

from typing import Any

from nbgraph.steps.library import Library

# One line a module: its steps, and what their arguments are made of.
MODULES = {
    "features.date": "DateExtractor",
    "features.metadata": "SetEventMetadata",
    "features.transform": "DropFeatures Imputer MapValues OneHotEncoder",
    "features.validate": "Validate",
    "http.client": "HttpError HttpRequest HttpResponse",
    "http.remote": "BatchHttpRequests RemoteStep SendToHttp",
    "models.boosted": "LightGBMModel XGBoostModel",
    "models.huggingface": "HuggingFaceModel",
    "models.onnx": "OnnxModel",
    "models.server": "ModelServer",
    "models.sklearn": "SklearnModel",
    "models.torch": "TorchModel",
    "nbgraph.features.steps": "AddFeatures FeatureTarget",
    "operators.batch": "Batch",
    "operators.choice": "Choice ChoiceByField Partition Partitioned",
    "operators.collect": "Collector Gather ReduceToDataFrame ToDataFrame",
    "operators.concurrent": "Concurrent",
    "operators.endpoint": "Endpoint",
    "operators.fields": "DropColumns Extend Rename ReifyMetadata",
    "operators.merge": "Merge",
    "operators.queue": "Queue",
    "operators.queue_border": "QueueReader QueueWriter",
    "operators.sample": "SampleWindow",
    "operators.stateful": "MapWithState Reduce",
    "operators.stateless": "Filter FlatMap Flatten ForEach Map",
    "routers.enrichment": "EnrichmentRouter",
    "routers.ensemble": "VotingEnsemble",
    "routers.parallel": "ParallelRun",
    "routers.router": "ModelRouter Router",
    "routers.runner": "ModelRunner",
    "sources.base": "RowSource Source",
    "sources.csv": "CSVSource",
    "sources.dataframe": "DataFrameSource",
    "sources.http": "HttpSource",
    "sources.kafka": "KafkaSource",
    "sources.nats": "NatsSource",
    "sources.parquet": "ParquetSource",
    "sources.sql": "SQLSource",
    "tables.cache": "Cache",
    "tables.join": "JoinWithTable",
    "tables.redis": "RedisDriver",
    "tables.sqlite": "SqliteDriver",
    "tables.table": "Table",
    "targets.base": "RowTarget Target",
    "targets.csv": "CSVTarget",
    "targets.http": "HttpTarget",
    "targets.kafka": "KafkaTarget",
    "targets.nats": "NatsTarget",
    "targets.parquet": "ParquetTarget",
    "targets.sql": "SQLTarget",
    "targets.table": "TableTarget",
    "windows.aggregate": "AggregateByKey",
    "windows.emit": "AfterDelay AfterMaxEvent AfterPeriod AfterWindow EmitAfterDelay EmitAfterMaxEvent EmitAfterPeriod "
    "EmitAfterWindow EmitEveryEvent EveryEvent",
    "windows.query": "QueryByKey",
    "windows.spec": "FieldAggregator FixedWindows SlidingWindows",
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
