"""Facade: the methods of a Graph that belong to upper floors; each imports what it needs inside.

They stand apart so that `graph.py` stays plain data. `tests/test_floors.py` lists them by name; nothing else may
import upwards. `run` and its relatives go through the plan that is kept here until the graph changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, Unpack, overload

from nbgraph.body import Copier
from nbgraph.errors import StepError
from nbgraph.event import RAW, EventFields, check_fields, entering
from nbgraph.graph.deploy_options import DeployOptions, ExportOptions
from nbgraph.graph.reported import Reported
from nbgraph.introspection import lists_keywords, takes

if TYPE_CHECKING:
    from pathlib import Path

    import graphviz

    from nbgraph.brokered.graph import BrokeredGraph
    from nbgraph.brokered.run import BrokeredRun
    from nbgraph.capture.captured import Captured
    from nbgraph.debug.debugger import Debugger
    from nbgraph.debug.trace import Trace
    from nbgraph.deploy.deployment import Deployment
    from nbgraph.deploy.export import Export
    from nbgraph.deploy.project.job_project import StartJobWorkers
    from nbgraph.engine.interpret.observer import Observer
    from nbgraph.engine.live.run import Run
    from nbgraph.engine.plan import Plan
    from nbgraph.features.set import FeatureSet
    from nbgraph.graph.finding import Finding
    from nbgraph.graph.graph import Graph
    from nbgraph.jobs.job import Job
    from nbgraph.monitor.baseline import Baseline
    from nbgraph.monitor.monitor import Monitor
    from nbgraph.monitor.rule import AlertRule
    from nbgraph.widgets.deployment import DeploymentView
    from nbgraph.widgets.graph import GraphWidget
    from nbgraph.widgets.job import JobView

MEMORY: Final = "memory"  # queues as the engine has them, without a broker


class Facade:
    """Running, debugging, drawing and deploying a graph."""

    _plan: Plan | None
    _before: Plan | None

    def __init__(self) -> None:
        self._plan = None
        self._joined: dict[str, BrokeredGraph] = {}  # this graph over other transports, by their names
        self._before = None  # the plan of the spec before the last change: its built steps are used again
        self.reported = Reported()  # the numbers that its steps report
        self.report_label: Callable[[str, Any, Any], None] | None = None  # where context.label goes: id, value, time
        self.copier = Copier()  # of the bodies of this graph's branches
        self.kept: dict[str, Any] = {}  # what its steps put on their contexts
        self.observers: list[Observer] = []  # whoever watches every run of this graph: a live widget, metrics
        self.redacted: set[str] = set()  # fields that frames and views show as dots; runs see them as they are
        self.written = ""  # the text that a person wrote for the graph, if so: a builder keeps its comments

    # --- running (engine) ---

    def plan(self: Graph) -> Plan:
        """The compiled graph: kept until the graph, or something that it names, changes."""
        plan = self._plan
        return self._compile() if plan is None or not plan.is_current() else plan

    def _compile(self: Graph) -> Plan:
        from nbgraph.engine.compile.compile import compile, lock_of

        with lock_of(self):  # another thread may have compiled it in the meantime
            plan = self._plan
            if plan is None or not plan.is_current():
                plan = self._plan = compile(self, plan or self._before)
                self._before = None
            return plan

    def _inspected(self: Graph) -> list[Finding]:
        from nbgraph.engine.compile.inspection import findings

        return findings(self)

    def ready(self: Graph) -> Graph:
        """Compile the graph now, which builds its steps: constructors and `post_init` run, models load."""
        self.plan()
        return self

    @lists_keywords(EventFields, path="/")
    def run(self: Graph, body: Any, *, streams: str = MEMORY, **fields: Unpack[EventFields]) -> Any:
        """The answer to one event; None where nothing answers.

        `streams="nats"`: the graph's queues lead over a NATS server of this kernel's own, as they would when deployed.
        Each part between them takes one event at a time; what passes a queue is plain data (a tuple comes out as a
        list); where branches meet behind different queues, the order among them is not kept.

        Parameters
        ----------
        body
            Body, or an Event.
        streams
            `"memory"`, `"nats"`, or `"kafka"` with its address: what carries the queues.
        """
        if streams != MEMORY:
            return self._over(streams).run(entering(body, **fields))
        plan = self._plan
        if plan is None or not (plan.watch is None or plan.watch()):
            plan = self.plan()
        line = plan.line
        if line is not None and type(body) not in RAW and not self.observers:
            if fields:
                check_fields(fields)
            try:
                return line(body)  # nothing to look at first: the call costs what it costs by hand
            except StepError as error:
                error.event.describe(**fields)
                raise
        return plan.run(entering(body, **fields))

    @lists_keywords(EventFields, path="/")
    async def arun(self: Graph, body: Any, *, streams: str = MEMORY, **fields: Unpack[EventFields]) -> Any:
        """As `run`, without blocking the caller's event loop.

        Parameters
        ----------
        body
            Body, or an Event.
        streams
            `"memory"`, `"nats"`, or `"kafka"` with its address: what carries the queues.
        """
        event = entering(body, **fields)
        return await (self.plan() if streams == MEMORY else self._over(streams)).arun(event)

    @lists_keywords(EventFields, path="/")
    def answers(self: Graph, body: Any, *, streams: str = MEMORY, **fields: Unpack[EventFields]) -> Iterator[Any]:
        """Every answer to one event: the chunks of a generator, the items of a flat map.

        Parameters
        ----------
        body
            Body, or an Event.
        streams
            `"memory"`, `"nats"`, or `"kafka"` with its address: what carries the queues.
        """
        event = entering(body, **fields)
        return (self.plan() if streams == MEMORY else self._over(streams)).answers(event)

    def stream(self: Graph, source: Any, *, key: Any = None, streams: str = MEMORY) -> Iterator[Any]:
        """The answers to many events, in the order of the source, as they come; `streams` as in `run`.

        Parameters
        ----------
        source
            Iterable of bodies or Events, a DataFrame, or a Source.
        key
            Field, or function of the body: the key of each event.
        streams
            `"memory"`, `"nats"`, or `"kafka"` with its address: what carries the queues.
        """
        if streams != MEMORY:
            return self._over(streams).stream(source, key=key)
        from nbgraph.engine.schedule.stream import stream

        return stream(self.plan(), source, key=key)

    def astream(self: Graph, source: Any, *, key: Any = None, streams: str = MEMORY) -> AsyncIterator[Any]:
        """As `stream`, for `async for`.

        Parameters
        ----------
        source
            Iterable or async iterable of bodies or Events, a DataFrame, or a Source.
        key
            Field, or function of the body: the key of each event.
        streams
            `"memory"`, `"nats"`, or `"kafka"` with its address: what carries the queues.
        """
        if streams != MEMORY:
            return self._over(streams).astream(source, key=key)
        from nbgraph.engine.schedule.stream import astream

        return astream(self.plan(), source, key=key)

    @overload
    def start(self: Graph) -> Run: ...

    @overload
    def start(self: Graph, *, streams: str) -> Run | BrokeredRun: ...

    def start(self: Graph, *, streams: str = MEMORY) -> Run | BrokeredRun:
        """A long-lived run on nbgraph's own thread, to push events into; `streams` as in `run`.

        Parameters
        ----------
        streams
            `"memory"`, `"nats"`, or `"kafka"` with its address: what carries the queues.
        """
        if streams != MEMORY:
            return self._over(streams).start()
        from nbgraph.engine.live.run import Run

        return Run(self)

    def _over(self: Graph, streams: str) -> BrokeredGraph:
        """The graph with its queues over a transport."""
        from nbgraph.brokered.graph import BrokeredGraph

        return self._joined.get(streams) or self._joined.setdefault(streams, BrokeredGraph(self, streams))

    # --- looking inside (debug) ---

    def trace(self: Graph, body: Any) -> Trace:
        """Run one event and keep a frame of every step; an error is kept in `Trace.error`, not raised.

        Parameters
        ----------
        body
            Body, or an Event.
        """
        from nbgraph.debug.recorder import trace

        return trace(self, body)

    def debug(self: Graph, events: Any, *, breakpoints: Sequence[str] = ()) -> Debugger:
        """A debugger that stands before the first step; nothing has run.

        Parameters
        ----------
        events
            One body or Event, a list of Events, or a failure of a deployment or job.
        breakpoints
            Names of steps.
        """
        from nbgraph.debug.debugger import Debugger

        return Debugger(self, events, breakpoints=breakpoints)

    # --- watching (monitor) ---

    def monitor(
        self: Graph,
        baseline: Baseline | EllipsisType | None = ...,
        *,
        warm_up: int = 10_000,
        at: str | Sequence[str] = "all",
        fields: Mapping[str, Sequence[str]] | None = None,
        every: int | str = "1m",
        segments: Sequence[str] = (),
        score: str | None = None,
        label: str | None = None,
        rules: Sequence[AlertRule] | None = None,
        keep: str = "30d",
        sample: float = 1.0,
        share: float = 0.05,
    ) -> Monitor | None:
        """Let the graph be watched: what goes along its edges is counted, and compared with a baseline.

        It is a part of the graph's spec; runs of `graph.start()` and deployments are watched. `graph.monitor(None)`
        takes it away.

        Parameters
        ----------
        baseline
            What `graph.profile(stream)` or `Baseline.of(table, at=...)` gave; where it is not given, the first
            `warm_up` events become it. None, and nothing else: nothing is watched any more.
        warm_up
            Events that become the baseline, where there is none.
        at
            `"all"` edges, those of `"models"`, or names of steps and edges.
        fields
            By step or edge, the fields that are watched; None: all at the top, at most 200 an edge.
        every
            Length of a window: `"1m"` by the clock, or a number of events.
        segments
            Fields by whose values quality and drift are told apart.
        score, label
            Names or expressions: which output is the score, and what a label is compared with.
        rules
            What must not be; None: `Monitor.RULES`.
        keep
            How long windows are kept.
        sample
            Share of the events that are looked at.
        share
            Share of the time that watching may take; where it would take more, fewer events are looked at.
        """
        from nbgraph.monitor.monitor import Monitor

        found = Monitor(
            None if isinstance(baseline, EllipsisType) else baseline, warm_up, at, fields, every, segments, score,
            label, rules, keep, sample, share,
        )  # fmt: skip
        is_taken_away = baseline is None and found == Monitor()
        self.watch(None if is_taken_away else found)
        return self.watched

    def profile(self: Graph, source: Any, *, every: int | str = "1m", key: Any = None) -> Baseline:
        """Run a stream, and count what goes along every edge: the baseline of a graph.

        Parameters
        ----------
        source
            What `graph.stream` takes.
        every
            Length of a window: `"1m"` of the time of the events, or a number of events.
        key
            Field, or function of the body: the key of each event.
        """
        from nbgraph.monitor.counting.profiling import profile

        return profile(self, source, every=every, key=key)

    # --- pictures (render, widgets) ---

    def dot(self: Graph) -> graphviz.Digraph:
        """The picture as a graphviz object."""
        from nbgraph.render.dot import digraph

        return digraph(self)

    def svg(self: Graph) -> str:
        """The picture as SVG text."""
        from nbgraph.render.svg import svg

        return svg(self)

    def png(self: Graph) -> bytes:
        """The picture as a PNG file's bytes."""
        from nbgraph.render.svg import png

        return png(self)

    def view(self: Graph) -> GraphWidget:
        """The live widget."""
        from nbgraph.widgets.graph import GraphWidget

        return GraphWidget(self)

    def _repr_mimebundle_(self: Graph, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from nbgraph.render.svg import mimebundle

        return mimebundle(self)

    # --- leaving the notebook (deploy) ---

    def captured(self: Graph) -> Captured:
        """What would leave the notebook, proven: its source, artifacts and requirements, and what differs."""
        from nbgraph.capture.captured import captured

        return captured(self)

    @takes(ExportOptions)
    def export(self: Graph, options: ExportOptions) -> Export:
        """Write the graph as a readable project that runs without this notebook.

        No secret is written: `secrets` gives names, and `secrets.sh` beside the project asks whoever runs it for their
        values, and makes the key where callers need one.
        """
        from nbgraph.deploy.export import export

        return export(self, options)

    @takes(DeployOptions)
    def deploy(self: Graph, options: DeployOptions) -> Deployment:
        """Host the graph in processes or containers; returns once it is ready to answer.

        With a `name` there is one deployment of that name: where it runs, it goes on with this graph.
        """
        from nbgraph.deploy.deploy import deploy

        return deploy(self, options)

    # --- over a data set (jobs) ---

    def job(
        self: Graph,
        source: Any,
        target: Any = None,
        *,
        key: Any = None,
        engine: Any = "process",
        workers: int | None = None,
        part_rows: int = 100_000,
        retries: int = 2,
        max_failures: int | str | None = None,
        resume: bool = True,
        name: str | None = None,
        progress: bool = True,
    ) -> Job:
        """Run the graph over a data set, part by part, on many processes; returns at once.

        The answers are those of `graph.stream(source)`, in their order; with a `key` so within each key. What is done
        stays done: the same call again runs only what is missing.

        Parameters
        ----------
        source
            What `graph.stream` takes, or the path of a Parquet, CSV or JSON lines file.
        target
            A folder (Parquet), `"x.csv"`, `"x.jsonl"`, or a Target; None leaves writing to the graph's own targets.
        key
            A field of the rows, or a function of them, that steps which remember go by.
        engine
            `"process"`, `"thread"`, `"docker"`, `"swarm"`, `"dask://HOST:PORT"`, or a client of Dask.
        workers
            Parts that run at once; as many as there are cores if not told.
        part_rows
            Rows of a part.
        retries
            How often a part runs again whose process has died, before the row that kills it is looked for.
        max_failures
            Rows that may fail, as a number or a share (`"1%"`); more end the job.
        resume
            False starts anew, beside the old result, which stays until the new one is whole.
        name
            Name of the job; None: the graph's.
        progress
            Whether a line tells how far it is.
        """
        from nbgraph.jobs.job import begin

        return begin(
            self, source, target, key=key, engine=engine, workers=workers, part_rows=part_rows, retries=retries,
            max_failures=max_failures, resume=resume, name=name, progress=progress,
        )  # fmt: skip


def ingest_job(
    set: FeatureSet, source: Any, *, id: str | None, online: bool, key: Any, engine: Any, workers: int | None,
    part_rows: int, retries: int, max_failures: int | str | None, resume: bool, name: str | None, progress: bool,
) -> Job:  # fmt: skip
    """The job that takes a data set into a feature set, which stands below `jobs/`."""
    from nbgraph.jobs.ingest import begin_ingest

    return begin_ingest(
        set, source, id=id, online=online, key=key, engine=engine, workers=workers, part_rows=part_rows,
        retries=retries, max_failures=max_failures, resume=resume, name=name, progress=progress,
    )  # fmt: skip


def monitor_of(document: Mapping[str, Any]) -> Monitor:
    """What of a graph is watched, as its document tells."""
    from nbgraph.monitor.monitor import Monitor

    return Monitor.from_plain(document)


def monitor_named(found: Any, name: str) -> Monitor:
    """What a cell's `--monitor NAME` names: a Monitor, or a Baseline to be compared with."""
    from nbgraph.monitor.monitor import named

    return named(found, name)


def library() -> Mapping[str, Any]:
    """The built-in steps, by the names that a document has for them."""
    from nbgraph.steps import catalogue

    return catalogue()


def built_in_steps() -> Mapping[str, Any]:
    """The steps of nbgraph itself; looking for another name here does not look into installed packages."""
    from nbgraph.steps import built_in

    return built_in()


def job_workers(
    target: str, graph: Graph, *, folder: Path, cwd: str, reads: Sequence[Path], writes: Sequence[Path],
    packages: Sequence[str], workers: int,
) -> StartJobWorkers:  # fmt: skip
    """What starts the workers of a job in containers, and their broker; `deploy/` stands beside `jobs/`."""
    from nbgraph.deploy.operation.job_workers import start_of

    return start_of(
        target, graph, folder=folder, cwd=cwd, reads=reads, writes=writes, packages=packages, workers=workers
    )


def job_view(job: Job) -> JobView:
    """The live widget of a job, which stands beside `jobs/` and not below it."""
    from nbgraph.widgets.job import JobView

    return JobView(job)


def deployment_view(deployment: Deployment) -> DeploymentView:
    """The live widget of a deployment, which stands beside `deploy/` and not below it."""
    from nbgraph.widgets.deployment import DeploymentView

    return DeploymentView(deployment)


def deploy_targets() -> list[str]:
    """Where a click may host a graph, which is told above `widgets/`."""
    from nbgraph.deploy.target import local_hosts

    return list(local_hosts())
