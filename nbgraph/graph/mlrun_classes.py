"""Classes of MLRun and Storey, and what nbgraph has in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.errors import GraphError

# Their name, where it is not ours.
RENAMED = {
    "ConcurrentExecution": "Concurrent",
    "EnrichmentModelRouter": "EnrichmentRouter",
    "NoSqlTarget": "TableTarget",
    "RouterStep": "ModelRouter",
    "V2ModelServer": "ModelServer",
    "SKLearnModelServer": "SklearnModel",
    "ONNXModelServer": "OnnxModel",
    "PyTorchModelServer": "TorchModel",
    "XGBoostModelServer": "XGBoostModel",
    "LGBMModelServer": "LightGBMModel",
    "$remote": "RemoteStep",
}
SAME = frozenset([
    "AggregateByKey", "Batch", "BatchHttpRequests", "Choice", "ChoiceByField", "Collector", "DateExtractor",
    "DropColumns", "DropFeatures", "Extend", "Filter", "FlatMap", "Flatten", "ForEach", "Imputer", "JoinWithTable",
    "Map", "MapValues", "MapWithState", "Merge", "ModelRouter", "OneHotEncoder", "ParallelRun", "Partition",
    "QueryByKey", "Reduce", "ReifyMetadata", "RemoteStep", "Rename", "SampleWindow", "SendToHttp",
    "SetEventMetadata", "ToDataFrame", "VotingEnsemble", "CSVTarget", "ParquetTarget", "KafkaTarget",
])  # fmt: skip
PACKAGES = ("mlrun.", "storey.")
# Arguments of their engine; left out where they are empty.
ENGINE_ONLY = frozenset(["long_running", "pass_context", "context", "inputs", "outputs", "recovery_step", "name"])
RENAMED_ARGUMENTS = {("Merge", "key_path"): "key"}


def handler_of(class_name: str, where: str) -> str:
    """Our name of a class: a built-in step for theirs, the name as it is for the user's.

    >>> [handler_of(name, "steps.a") for name in ("storey.Filter", "*VotingEnsemble", "Enrich")]
    ['Filter', 'VotingEnsemble', 'Enrich']
    >>> handler_of("storey.Assert", "steps.a")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: steps.a.class_name: "storey.Assert" has no counterpart in nbgraph; ...
    """
    if class_name in ("*", "*."):
        return "ModelRouter"
    bare = class_name.removeprefix("*")
    last = bare.rpartition(".")[2]
    if bare in RENAMED or (bare.startswith(PACKAGES) and last in RENAMED):
        return RENAMED[last]
    if not bare.startswith((*PACKAGES, "hub://")):
        return bare
    if last in SAME:
        return last
    raise GraphError(
        f'{where}.class_name: "{class_name}" has no counterpart in nbgraph; write the step as a class of the notebook '
        "with do(body), and name that."
    )


def arguments_of(handler: str, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Our arguments for theirs: `_fn="(event['x'] > 3)"` is an expression that we call `fn`.

    >>> arguments_of("Filter", {"_fn": "(event > 3)", "long_running": None}, "steps.a")
    {'fn': '(event > 3)'}
    """
    arguments: dict[str, Any] = {}
    for name, value in given.items():
        ours = name.removeprefix("_") if isinstance(value, str) else name
        if ours in ENGINE_ONLY and (value is None or value is False):
            continue
        arguments[RENAMED_ARGUMENTS.get((handler, ours), ours)] = value
    return arguments
