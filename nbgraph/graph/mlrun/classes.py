"""Classes of MLRun and Storey, and their counterparts in nbgraph.

Each built-in step declares its counterpart (`Handler.counterpart`); this module lists what replaces the other classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.facade import built_in_steps
from nbgraph.handler import Counterpart

PACKAGES = ("mlrun.", "storey.")


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


def counterpart_of(class_name: str) -> type | str | None:
    """The counterpart of a class, or advice on what to write instead; None for an unknown class.

    >>> counterpart_of("storey.Filter").__name__, counterpart_of("*VotingEnsemble").__name__, counterpart_of("Enrich")
    ('Filter', 'VotingEnsemble', None)
    >>> counterpart_of("storey.Recover")
    'an arrow for the errors of the step concerned: `step -> handler on error`'
    """
    last = class_name.removeprefix("*").rpartition(".")[2]
    return _classes().get(last) or ELSEWHERE.get(last)


def translation_of(kind: type) -> Counterpart:
    """How arguments become those of the counterpart; a subclass of a counterpart is none."""
    found: Counterpart = vars(kind)["counterpart"]
    return found


@cache
def _classes() -> dict[str, type]:
    """Built-in classes, by the names of their counterparts."""
    own = [kind for kind in built_in_steps().values() if isinstance(vars(kind).get("counterpart"), Counterpart)]
    return {name: kind for kind in own for name in (translation_of(kind).theirs, *translation_of(kind).aliases)}


def is_mlrun_class(class_name: str) -> bool:
    """Whether a dotted name lies in a package of MLRun or Storey.

    >>> is_mlrun_class("storey.Filter"), is_mlrun_class("Filter"), is_mlrun_class("*")
    (True, False, True)
    """
    return class_name.startswith(PACKAGES) or class_name in ("*", "*.", "$remote")


def refuse_mlrun_base(kind: type, where: str) -> None:
    """Refuse a class that derives from one of MLRun's, which only its own server can run."""
    for base in kind.__mro__[1:]:
        found = counterpart_of(base.__name__) if home_of(base).startswith("mlrun.") else None
        if found is not None:
            ours = found if isinstance(found, str) else f"nbgraph.steps.{found.__name__}, which has the same hooks"
            raise GraphError(f'{where}: "{kind.__name__}" derives from {home_of(base)}; let it derive from {ours}.')


def home_of(value: Any) -> str:
    """The dotted name of a class or function, or of an object's class: `storey.flow.Filter`."""
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"
