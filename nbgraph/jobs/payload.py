"""A Payload: what every worker of a job gets once: the graph with the names that it uses, and how to read and write."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nbgraph.engine.compile.bind import is_expression, names_in
from nbgraph.engine.compile.staleness import names_of_graph
from nbgraph.errors import JobError, text_of
from nbgraph.graph.graph import Graph
from nbgraph.jobs.output.form import Form


@dataclass(frozen=True)
class Payload:
    """`source` reads slices of files, `key` is taken of each row; `hashes` are those of `own_hashes_of`.

    `is_fresh`: a part needs steps that nothing went through before, since they remember.
    """

    graph: Graph
    folder: Path
    form: Form
    key: Any = None
    source: Any = None
    target: Any = None
    is_fresh: bool = False
    hashes: Mapping[str, str] = field(default_factory=dict)


def packed(payload: Payload) -> bytes:
    """The bytes of a payload: functions and classes of the notebook as they live, those of modules by their names.

    >>> unpacked(packed(Payload(Graph("g"), Path("."), Form.NOTHING))).graph.name
    'g'
    """
    try:
        return _dumped(payload)
    except Exception as error:
        raise _stays(payload, error) from error


def unpacked(data: bytes) -> Payload:
    payload: Payload = pickle.loads(data)
    return payload


def _dumped(value: Any) -> bytes:
    import cloudpickle  # not in images, where a module may name Job all the same

    class JobPickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        """A graph goes with the objects that its names mean, not with its whole notebook."""

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, Graph):
                make, (made_of, beside) = obj.__reduce__()
                return make, ({**made_of, "scope": replace(obj.scope, namespace=_names(obj))}, beside)
            return super().reducer_override(obj)

    file = io.BytesIO()
    JobPickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def _stays(payload: Payload, error: Exception) -> JobError:
    """Which step can't leave this process."""
    where = f'graph "{payload.graph.name}"'
    for step in payload.graph.steps:
        handler = payload.graph.scope.namespace.get(step.handler) if isinstance(step.handler, str) else step.handler
        try:
            _dumped((handler, dict(step.arguments)))
        except Exception as found:
            where, error = f'step "{step.name}"', found
            break
    return JobError(
        f"The {where} can't go to another process: {type(error).__name__}: {text_of(error)}. Let the step make what "
        'it needs in post_init(), or run the job in this process: engine="thread".'
    )


def _names(graph: Graph) -> dict[str, Any]:
    """The objects that the graph's own names mean; those that its functions use go with these."""
    namespace = graph.scope.namespace
    texts = [step.handler for step in graph.steps if is_expression(step.handler)]
    texts += [edge.when for edge in graph.edges if isinstance(edge.when, str)]
    names = names_of_graph(graph).union(*(names_in(str(text)) for text in texts))
    found = {name: namespace[name] for name in sorted(names) if name in namespace}
    return {"__name__": namespace.get("__name__", "__main__"), **found}
