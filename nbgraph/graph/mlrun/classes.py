"""Classes of MLRun and Storey, and what nbgraph has in their place."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbgraph.errors import GraphError

PACKAGES = ("mlrun.", "storey.")


@dataclass(frozen=True, slots=True)
class Counterpart:
    """Our class in the place of theirs: arguments under other names, what only their engine needs, their defaults."""

    ours: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    unused: Mapping[str, Container[Any]] = field(
        default_factory=dict
    )  # the argument, and the values that ask for nothing
    preset: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""  # what differs, for the report


_ROUTER = {
    "protocol": ("v2",), "url_prefix": ("/v2/models",), "health_prefix": ("/v2/health",), "shard_by_endpoint": (True,),
}  # fmt: skip
_COLUMNS = {"infer_columns_from_data": (True, False)}
_KEYED = {"key_field": "key"}

COUNTERPARTS: Mapping[str, Counterpart] = {
    **{name: Counterpart(name) for name in (
        "BatchHttpRequests", "Choice", "ChoiceByField", "DateExtractor", "DropColumns", "DropFeatures", "Extend",
        "Filter", "FlatMap", "Flatten", "ForEach", "Imputer", "Map", "MapValues", "MapWithState",
        "OneHotEncoder", "Partition", "Reduce", "ReifyMetadata", "RemoteStep", "Rename", "SampleWindow",
        "ReduceToDataFrame", "SendToHttp", "SetEventMetadata", "ToDataFrame",
    )},
    "AggregateByKey": Counterpart(
        "AggregateByKey", _KEYED, {"use_windows_from_schema": (False,)},
        note="sums over nothing are 0 and not NaN, sliding windows move on to the event's own time where it lacks the "
        "field, and a too late event has the values of empty windows in its columns",
    ),
    "Batch": Counterpart(
        "Batch", {"key_field": "key"}, {"drop_key_field": (False,)},
        note="a list that is not full goes on when the stream ends, not never",
    ),
    "Collector": Counterpart(
        "Collector", unused={"expected_completions": range(1, 1000)},
        note="the list goes on when all of the event is done, however many completions are expected",
    ),
    "ConcurrentExecution": Counterpart("Concurrent"),
    "CSVTarget": Counterpart(
        "CSVTarget", unused=_COLUMNS, preset={"header": False, "append": True},
        note="None is an empty cell, not NaN, and a line is written at once unless max_events says otherwise",
    ),
    "JoinWithTable": Counterpart("JoinWithTable", {"key_extractor": "key"}, note="keys have types: 9 is not '9'"),
    "KafkaTarget": Counterpart(
        "KafkaTarget", {"brokers": "brokers", "kafka_brokers": "brokers", "bootstrap_servers": "brokers"}, _COLUMNS
    ),
    "Merge": Counterpart("Merge", {"key_path": "key"}),
    "NoSqlTarget": Counterpart("TableTarget", unused=_COLUMNS, note="keys have types: 9 is not '9'"),
    "ParquetTarget": Counterpart("ParquetTarget", unused={**_COLUMNS, "single_file": (True, False)}),
    "QueryByKey": Counterpart("QueryByKey", _KEYED, note="keys have types: 9 is not '9'"),
    "ModelRouter": Counterpart(
        "ModelRouter", unused=_ROUTER,
        note="/v2/health answers in the words of the Open Inference Protocol, and what is asked wrongly has the "
        "status 400, 404 or 422",
    ),
    "ParallelRun": Counterpart("ParallelRun", unused=_ROUTER),
    "VotingEnsemble": Counterpart(
        "VotingEnsemble", unused=_ROUTER,
        note="without vote_type, whole numbers with a point (3.0) are averaged, and weights are normalised",
    ),
    "V2ModelServer": Counterpart("ModelServer"),
    "SKLearnModelServer": Counterpart("SklearnModel"),
    "ONNXModelServer": Counterpart("OnnxModel"),
    "PyTorchModelServer": Counterpart("TorchModel"),
    "XGBoostModelServer": Counterpart("XGBoostModel"),
    "LGBMModelServer": Counterpart("LightGBMModel"),
}  # fmt: skip
ALIASES = {"RouterStep": "ModelRouter", "$remote": "RemoteStep", "": "ModelRouter", ".": "ModelRouter"}

ELSEWHERE: Mapping[str, str] = {
    "Assert": "compare what graph.stream(...) gives in a test",
    "EnrichmentModelRouter": "EnrichmentRouter(table=..., features=[...]), which has the table and not its address",
    "EnrichmentVotingEnsemble": "JoinWithTable(table=..., key=...) before a VotingEnsemble",
    "FeaturesetValidator": "Validate(rules={...})",
    "JoinWithV3IOTable": "JoinWithTable(table=..., key=...)",
    "MapClass": "a class of your own with do(body)",
    "MLRunAPIRemoteStep": "RemoteStep(url=...)",
    "ModelRunner": "ModelRunner(routes={...}), built in the notebook",
    "ModelRunnerStep": "ModelRunner(routes={...}), built in the notebook",
    "ParallelExecution": "ModelRunner(routes={...}), built in the notebook",
    "QueueStep": 'Queue("name")',
    "Recover": "an arrow for the errors of the step concerned: `step -> handler on error`",
    "RedisNoSqlTarget": "TableTarget(Table(RedisDriver(...)))",
    "RemoteFunctionStep": "RemoteStep(url=...)",
    "StreamTarget": "NatsTarget(...) or KafkaTarget(...)",
    "TimescaleDBTarget": "SQLTarget(...)",
    "TSDBTarget": "SQLTarget(...) or ParquetTarget(...)",
}


def counterpart_of(class_name: str) -> Counterpart | str | None:
    """Our class for theirs, or what is written instead of it; None for a class that is not known.

    >>> counterpart_of("storey.Filter").ours, counterpart_of("*VotingEnsemble").ours, counterpart_of("Enrich")
    ('Filter', 'VotingEnsemble', None)
    >>> counterpart_of("storey.Recover")
    'an arrow for the errors of the step concerned: `step -> handler on error`'
    """
    last = class_name.removeprefix("*").rpartition(".")[2]
    name = ALIASES.get(last, last)
    return COUNTERPARTS.get(name) or ELSEWHERE.get(name)


def is_theirs(class_name: str) -> bool:
    """Whether a text names a class of MLRun or Storey by where it stands.

    >>> is_theirs("storey.Filter"), is_theirs("Filter"), is_theirs("*")
    (True, False, True)
    """
    return class_name.startswith(PACKAGES) or class_name in ("*", "*.", "$remote")


def refuse_their_base(kind: type, where: str) -> None:
    """Refuse a class that derives from one of MLRun's, which only its own server can run."""
    for base in kind.__mro__[1:]:
        found = counterpart_of(base.__name__) if home_of(base).startswith("mlrun.") else None
        if found is not None:
            ours = f"nbgraph.steps.{found.ours}, which has the same hooks" if isinstance(found, Counterpart) else found
            raise GraphError(f'{where}: "{kind.__name__}" derives from {home_of(base)}; let it derive from {ours}.')


def home_of(value: Any) -> str:
    """The dotted name of a class or function, or of an object's class: `storey.flow.Filter`."""
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"
