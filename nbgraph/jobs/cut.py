"""Cut: whether a graph's data set may be cut anywhere, by key, or not at all, by what its steps remember."""

from __future__ import annotations

from enum import Enum
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.engine.compile.call import call_of
from nbgraph.engine.compile.flatten import flatten
from nbgraph.engine.step_facts import built_in, how_to_key, is_by_key, remembers
from nbgraph.errors import JobError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.steps.operators.merge import Merge
from nbgraph.steps.operators.queue import Queue
from nbgraph.steps.tables.table import MemoryDriver, table_of
from nbgraph.steps.targets.base import Target
from nbgraph.steps.targets.table import TableTarget
from nbgraph.steps.windows.aggregate import AggregateByKey


class JobCut(Enum):
    ANYWHERE = "anywhere"
    BY_KEY = "by key"
    NOWHERE = "nowhere"


def cut_of(graph: Graph, key: Any, workers: int | None) -> JobCut:
    """How the rows of a job may be spread; JobError where that would give other answers than `graph.stream`.

    >>> graph = Graph("g")
    >>> _ = graph.to("Reduce", initial_value=0, fn="state + event")
    >>> cut_of(graph, None, 1)
    <JobCut.NOWHERE: 'nowhere'>
    >>> cut_of(graph, None, 4)
    Traceback (most recent call last):
    nbgraph.errors.JobError: Step "Reduce" remembers over all events, ...
    """
    flat = flatten(graph)
    for name, owned in flat.steps.items():
        _refuse_memory_table(name, owned.graph, owned.step)
    remembering = {
        name: (owned.graph, owned.step)
        for name, owned in flat.steps.items()
        if remembers(owned.graph, owned.step) and not _is_free(owned.graph, owned.step)
    }
    if not remembering:
        return JobCut.ANYWHERE
    rekeyed = _other_queue(graph, key)
    for name, (owner, step) in remembering.items():
        if key is None or rekeyed or not is_by_key(owner, step, key) or _merges(owner, step):
            if workers == 1:
                return JobCut.NOWHERE
            raise _refusal(name, owner, step, key, rekeyed)
    return JobCut.BY_KEY


def _refuse_memory_table(name: str, graph: Graph, step: Step) -> None:
    """What is written to a table in memory would stay in a worker."""
    handler = resolve(graph, step)
    kind = handler if isinstance(handler, type) else type(handler)
    if not issubclass(kind, TableTarget | AggregateByKey):
        return
    table = call_of(graph, step).target.arguments.get("table")
    if table is not None and isinstance(table_of(table).driver, MemoryDriver):
        raise JobError(
            f'Step "{name}" writes to a table in memory, and each worker of a job would have its own; take a table in '
            "SQLite or Redis, or graph.stream(source)."
        )


def _is_free(graph: Graph, step: Step) -> bool:
    """Whether what it remembers is of no consequence for other events."""
    target = call_of(graph, step).target
    return isinstance(target, Target) or (isinstance(target, Merge) and target.arguments.get("key") is None)


def _merges(graph: Graph, step: Step) -> bool:
    """A Merge by a key of its own gives up the oldest of all keys."""
    return isinstance(call_of(graph, step).target, Merge)


def _other_queue(graph: Graph, key: Any) -> str:
    """A queue that gives events another key than the job's."""
    for name, owned in flatten(graph).steps.items():
        target = call_of(owned.graph, owned.step).target if _may_be_queue(owned.step) else None
        if isinstance(target, Queue) and target.key not in (None, "$key", key):
            return name
    return ""


def _may_be_queue(step: Step) -> bool:
    return step.handler is Queue or isinstance(step.handler, Queue) or step.handler == "Queue"


def _refusal(name: str, graph: Graph, step: Step, key: Any, queue: str) -> JobError:
    arguments = getattr(call_of(graph, step).target, "arguments", {})
    own = arguments.get("key")
    kind = built_in(call_of(graph, step).target)
    one = "or run it in one piece: workers=1"
    if queue:
        return JobError(f'Step "{name}" remembers, and the queue "{queue}" gives events another key than key={key!r}; '
                        f"take the queue's, {one}.")  # fmt: skip
    if key is None and isinstance(own, str) and own != "$key":
        return JobError(
            f'Step "{name}" remembers by key, and parts that run apart would not see each other\'s events: cut the '
            f'data by it, key="{own}", {one}.'
        )
    if key is None and (kind == "AggregateByKey" or own == "$key" or arguments.get("group_by_key")):
        return JobError(
            f'Step "{name}" remembers by the key of the events: name the field that it is, key="...", {one}.'
        )
    if key is not None and own is not None:
        return JobError(f'Step "{name}" remembers by {own!r}, and the job is cut by key={key!r}; take that key, {one}.')
    return JobError(
        f'Step "{name}" remembers over all events, which parts that run apart would not see: let it remember by key '
        f'({how_to_key(graph, step)}) and name it, key="...", {one}.'
    )
