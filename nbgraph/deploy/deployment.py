"""Deployment: a hosted graph in the hand of the person who deployed it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import httpx

from nbgraph.contract import LABELS_PATH
from nbgraph.debug.trace import Trace
from nbgraph.deploy.backend import Backend, DaemonError, FunctionState, on_several, readable
from nbgraph.deploy.counts import told_at
from nbgraph.deploy.operation.autoscale import Autoscaler, ScalingRule
from nbgraph.deploy.operation.catalogue import check_circle, enter, leave
from nbgraph.deploy.operation.client import DeploymentClient
from nbgraph.deploy.operation.client import InvokeError as InvokeError
from nbgraph.deploy.operation.discovery import Discovery, discover
from nbgraph.deploy.operation.failures import captures_of, failures_of, forget_failure
from nbgraph.deploy.operation.metrics import FunctionMetrics, MetricsReader
from nbgraph.deploy.operation.parity import compared
from nbgraph.deploy.operation.registry import HERE
from nbgraph.deploy.operation.targets import TargetsServer
from nbgraph.deploy.operation.version import version_of
from nbgraph.deploy.options.build import BuildOptions, kept
from nbgraph.deploy.options.calls import check_calls, with_places
from nbgraph.deploy.options.features import check_features
from nbgraph.deploy.options.replicas import replicas_of
from nbgraph.deploy.options.secrets import check_given
from nbgraph.deploy.options.shared_state import functions_of
from nbgraph.deploy.options.validation import whole
from nbgraph.deploy.progress import told
from nbgraph.deploy.target import host_target
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError
from nbgraph.event import Event
from nbgraph.failure import Failure, QueueOrigin
from nbgraph.graph.deploy_options import UpdateOptions
from nbgraph.graph.facade import deployment_view
from nbgraph.graph.graph import Graph
from nbgraph.introspection import takes
from nbgraph.streams.transport import transport_of

if TYPE_CHECKING:
    import pandas

    from nbgraph.deploy.operation.monitored import MonitorReader
    from nbgraph.monitor.alert import Alert
    from nbgraph.monitor.baseline import Baseline
    from nbgraph.widgets.deployment import DeploymentView


class Deployment:
    """A graph that runs outside of the notebook.

    >>> graph = Graph("twice")
    >>> _ = graph.to("(event * 2)").respond()
    >>> with graph.deploy("process", progress=False) as deployment:
    ...     deployment.invoke(21)
    42
    """

    def __init__(self, hosted: Backend, graph: Graph | None = None, *, recipe: BuildOptions | None = None) -> None:
        self._hosted = hosted
        self._scaler: Autoscaler | None = None
        self.graph, self.request = graph, hosted.request
        self.recipe = recipe or kept(hosted.provisions(), hosted.hands(), hosted.request.streams.transport)
        self.name = hosted.request.name
        self.url = hosted.url
        self.left: tuple[str, ...] = ()  # big files of the user's own packages, which did not go along
        self._caller = DeploymentClient(self.url, hosted.request.api_key)
        self._meter = MetricsReader(hosted)
        self._counts = hosted.counts
        weakref.finalize(self, self._caller.close)
        weakref.finalize(self, self._meter.close)
        self._targets: TargetsServer | None = None  # where Prometheus finds the workers
        self._is_stopped = self._is_over = False
        hosted.heed(self.stop)
        HERE.add(hosted, self)

    @classmethod
    def attach(
        cls, name: str, *, graph: Graph | None = None, api_key: str | None = None, target: str | None = None
    ) -> Deployment:
        """A deployment that runs already, by its own name or its graph's: after a kernel's restart, or in another.

        `target`: where it is, if one of that name runs on several.

        Parameters
        ----------
        name
            Name of the deployment, or of its graph.
        graph
            The graph, for `parity` and the debugger.
        api_key
            Key that callers need.
        target
            Where it is, if one of that name runs on several.
        """
        discovery = discover(name, target)
        deployment = cls._chosen(name, target, discovery)
        if deployment is None:
            raise DeployError(
                f'No running deployment is called "{name}", here or at the Docker daemon{discovery.remark}. '
                "Processes end with the notebook that started them; containers go on."
            )
        if graph is not None:
            deployment.graph = graph
        if api_key is not None:
            deployment._caller.identify(api_key)
        return deployment

    @classmethod
    def find(cls, name: str, target: str | None = None) -> Deployment | None:
        """As `attach`, but None where there is none; `target`: only there.

        Parameters
        ----------
        name
            Name of the deployment, or of its graph.
        target
            Where it is looked for; None: everywhere.
        """
        return cls._chosen(name, target, discover(name, target))

    @classmethod
    def _chosen(cls, name: str, target: str | None, discovery: Discovery) -> Deployment | None:
        """The one that is held here or was found; an error where several could be meant."""
        held = HERE.held(name, target)
        others = {(one.target, one.request.name): one for one in discovery.found}
        every = {**others, **held}
        chosen = [place for place in every if place[1] == name] or list(every)
        if len(chosen) > 1:
            raise on_several(name, chosen)
        if not chosen:
            return None
        return held[chosen[0]] if chosen[0] in held else cls(others[chosen[0]])

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` has ended it, from here or from another process, and nothing of it is left."""
        return self._is_over

    @property
    def version(self) -> str:
        """Which version runs, as the gateway tells; where that does not answer, as far as it is known here."""
        return self._caller.version() or self._hosted.request.version

    @property
    def functions(self) -> list[str]:
        """The names of its functions; callers reach the first."""
        return self._hosted.functions

    @property
    def metrics_urls(self) -> list[str]:
        """What Prometheus reads, a URL for each worker."""
        return [url for _, url in self._hosted.sources()]

    def invoke(
        self, body: Any, path: str = "/", headers: Mapping[str, str] | None = None, *, method: str = "POST"
    ) -> Any:
        """What the deployed graph answers; to GET and DELETE None is no body, as in the notebook.

        Text and bytes go as they are, all else as JSON; what JSON would make something else of (NaN, dates, tuples,
        arrays, tables) as the very values.

        Parameters
        ----------
        body
            Body: JSON of anything but text and bytes.
        path
            Path with its query.
        headers
            Headers by name.
        method
            HTTP method.
        """
        try:
            return self._caller.invoke(body, path, headers or {}, method)
        except (httpx.HTTPError, RuntimeError) as error:
            self._check_runs()
            raise DeployError(
                f'Deployment "{self.name}" did not answer at {self.url}: {error}. deployment.status() shows what has '
                "ended, and deployment.mend() brings it back."
            ) from error

    def status(self) -> pandas.DataFrame:
        """A row for every replica: function, replica, state, restarts, started, image, version."""
        import dataclasses

        import pandas

        states = [] if self._is_stopped else self._hosted.states()
        columns = [field.name for field in dataclasses.fields(FunctionState)]
        frame = pandas.DataFrame([dataclasses.asdict(state) for state in states], columns=columns)
        return frame.assign(version=self.version if states else "")

    def pulse(self) -> dict[str, FunctionMetrics]:
        """How each function is doing now: replicas, rate, backlog, errors; quick, and safe to ask from any thread."""
        return {} if self._is_stopped else self._meter.read()

    def logs(self, function: str | None = None, lines: int = 100) -> str:
        """What the workers logged and the steps printed, the last lines.

        Parameters
        ----------
        function
            Name of the function; None: all.
        lines
            Lines of each worker.
        """
        self._check_function(function)
        return readable(self._hosted.logs(lines, function).splitlines())

    def metrics(self) -> pandas.DataFrame:
        """All numbers that Prometheus would read now, of every worker that answers: function, step, name, value.

        The numbers of a queue stand at its step; what steps report themselves has the name that they gave it. What
        workers had counted that have ended, as far as somebody looked, is counted on by the function's first worker.
        """
        import pandas

        told = ((function, url, told_at(url)) for function, url in self._hosted.sources())
        return pandas.DataFrame(self._counts.rows(told), columns=["function", "step", "name", "value"])

    def export_monitoring(self, folder: str | Path) -> Path:
        """Write what Prometheus and Grafana need to look at this deployment; the folder.

        From now on this process tells Prometheus which workers there are; it is to be there for as long as that asks.

        Parameters
        ----------
        folder
            Where `prometheus.yml`, `rules.yml`, `rules_test.yml`, `grafana.json` and a README go.
        """
        from nbgraph.monitor import export

        self._check_runs()
        if self._targets is None:
            self._targets = TargetsServer(self.name, lambda: self.metrics_urls)
        told = " ".join(told_at(url) for url in self.metrics_urls)
        files = export.files_of(
            self.request.graph, self.graph.watched if self.graph is not None else None, deployment=self.name,
            targets_url=self._targets.url,
            has_queues=len(self.functions) > 1, has_own="nbgraph_user{" in told,
        )  # fmt: skip
        return export.write(Path(folder), files)

    def failures(self) -> list[Failure]:
        """The events that failed last, the newest first; `graph.debug(failure)` stands before the step that failed."""
        self._check_runs()
        return failures_of(self._hosted)

    def resubmit(self, failure: Failure, body: Any = None) -> Any:
        """Run an event that failed again, after the fix; it is no failure any more, unless it fails anew.

        `body`: to be taken instead of its own. An event from a caller goes the whole way, and its answer is given. One
        from a queue goes back into that queue, and is done when its turn comes: what went well before it is not done
        again, and nobody waits for the answer. It keeps the event's id.

        Parameters
        ----------
        failure
            One of `failures()`.
        body
            Another body; None: the one that failed.
        """
        self._check_runs()
        if isinstance(failure.origin, QueueOrigin):
            self._hosted.resubmit(failure.origin.function, failure.origin.message, body)
            return None
        event = failure.event
        is_text = body is None and isinstance(event.body, str)  # it was decoded when it came
        try:
            return self.invoke(
                event.body if body is None else body, _target(event),
                {"Content-Type": "text/plain"} if is_text else None, method=event.method or "POST",
            )  # fmt: skip
        finally:
            forget_failure(self._hosted, event)

    def captures(self) -> list[Trace]:
        """The events that were recorded last, the newest last, each with the frames of all functions it went through.

        Which part of all events is recorded is told to `graph.deploy(capture=0.01)`; `trace.replay()` runs one again.
        """
        self._check_runs()
        return captures_of(self._hosted, self.graph)

    def profile(
        self,
        at: str | None = None,
        since: str = "1h",
        until: str | None = None,
        segment: Mapping[str, Any] | None = None,
    ) -> Baseline:
        """What went along the edges in that time, which may be another graph's baseline.

        Parameters
        ----------
        at
            Edge, or step; None: all edges.
        since, until
            How long ago it begins and ends: `"1h"`.
        segment
            Only events with this value of a field of `segments`: `{"country": "NL"}`; at edges that have the field.
        """
        return self._monitor().profile(at, since, until, segment)

    def drift(self, since: str = "1h") -> pandas.DataFrame:
        """A row for each field of an edge and window: count, distance, floor, limit, p, drifted, first.

        `floor` is the distance that chance alone gives; `first` tells that no edge before drifts in the same window.

        Parameters
        ----------
        since
            How long ago: `"1h"`.
        """
        return self._monitor().drift(since)

    def quality(self, since: str = "24h", segment: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """A row for each window of predictions: how many have labels, and how good they are.

        `estimated` is the accuracy that the scores let one expect: it assumes calibrated scores and no change of the
        concept.

        Parameters
        ----------
        since
            How long ago: `"24h"`.
        segment
            Only predictions with these values: `{"country": "NL"}`.
        """
        return self._monitor().quality(since, segment)

    @property
    def alerts(self) -> list[Alert]:
        """The alerts of a watched graph: pending, firing, and those that were resolved."""
        return self._monitor().alerts()

    def label(self, event_id: str, value: Any) -> dict[str, int]:
        """Tell the truth about an event: how many labels were taken, wait for their event, or were known.

        Parameters
        ----------
        event_id
            Id of the event.
        value
            What is true.
        """
        return self.labels([(event_id, value, None)])

    def labels(self, given: Any) -> dict[str, int]:
        """Tell the truth about many events, as `label`.

        Parameters
        ----------
        given
            A DataFrame with the columns id, label and, if wished, time; or an iterable of (id, value, time).
        """
        from nbgraph.monitor.watch import labels_of

        found = labels_of(given)
        told = [{"id": one.id, "label": one.label} | ({"time": one.time} if one.time else {}) for one in found]
        taken: dict[str, int] = self.invoke(told, LABELS_PATH)
        return taken

    def _monitor(self) -> MonitorReader:
        from nbgraph.deploy.operation.monitored import MonitorReader  # which loads NumPy

        self._check_runs()
        return MonitorReader(self.name, self.graph, self.metrics_urls)

    def parity(self, events: Any) -> pandas.DataFrame:
        """What the notebook and the deployment answer to the same events, side by side: event, local, deployed, equal.

        `events`: an iterable of bodies or Events, or a DataFrame, whose rows are the bodies. Where two answers differ
        stands in `.attrs["differences"]`, by row.

        Parameters
        ----------
        events
            Bodies, Events, or a DataFrame.
        """
        graph = self._known(None)
        return compared(events, graph.run, self.invoke)

    def scale(self, function: str, n: int) -> None:
        """Run that many replicas of a function.

        Parameters
        ----------
        function
            Name of the function.
        n
            Replicas.
        """
        self._check_runs()
        self._check_function(function)
        self._hosted.scale(function, whole(n, f'The number of replicas of "{function}"'))
        if function == self.functions[0] and host_target(self._hosted.target).shares_port:
            self.recipe = replace(self.recipe, workers=n)  # an update keeps them

    def mend(self) -> list[str]:
        """Start again the containers that somebody has ended (`docker stop`, `docker kill`), which Docker leaves alone.

        What they were: names of functions, or "broker". Whatever ends by itself comes back by itself.
        """
        self._check_runs()
        return self._hosted.mend()

    def autoscale(self, rules: Mapping[str, ScalingRule]) -> None:
        """From now on as many workers as the backlogs ask for; no rules, no change.

        Parameters
        ----------
        rules
            By function: least and most replicas, and the messages that each may have before it.
        """
        if rules:
            if self._scaler is not None:
                self._scaler.stop()
            self._scaler = Autoscaler(self._hosted, rules)

    @takes(UpdateOptions)
    def update(self, options: UpdateOptions) -> list[str]:
        """Go on with the graph as it is now, or with another, and lose no event; the functions that have changed.

        New workers are ready before the old ones go, and these finish what they have. Functions that are what they were
        keep their workers. Where a new one does not start, all stays as it was. Each option takes the place of all that
        was said of it before (`env={}`: no variables), and None leaves it as it was.
        """
        self._check_runs()
        graph = self._known(options.graph)
        functions = functions_of(graph)
        host = host_target(self._hosted.target)
        check_features(host.name, functions, is_here=host.is_here, snapshot=self.recipe.snapshot)
        wanted = self._replicas(functions, options.replicas)
        recipe = self.recipe.updated(functions, options)
        given = {function.name: recipe.provision(function.name) for function in functions}
        check_given(host, functions, given)
        check_calls(host, functions, given)
        check_circle(self.name, graph)
        self._hosted.request = replace(self._hosted.request, version=self.version)  # of one that was attached to
        with told(options.progress) as say:
            say("Capturing what the steps use")
            projects = with_places(host, recipe.projects(functions, say))
            with self._caller.held(), version_of(self._hosted, graph, options.version) as made:
                made.changed = others = self._hosted.update(projects, wanted, say)
        self.graph, self.recipe = graph, recipe
        enter(self._hosted, graph)
        if self._scaler is not None:
            self._scaler.keep(self.functions)
        return others

    def _replicas(self, functions: Sequence[Function], given: Any) -> dict[str, int]:
        """What was asked for, checked; the others keep what they have."""
        if given is None:
            return {}
        host = host_target(self._hosted.target)
        readers = transport_of(self.request.streams).most_readers
        return replicas_of(functions, given, has_one_port=host.has_one_port, readers=readers)

    def stop(self) -> None:
        """End it: events in flight are finished, then nothing of it is left."""
        if not self._is_stopped:
            self._is_stopped = True
            try:
                if self._scaler is not None:
                    self._scaler.stop()
                self._hosted.stop()
            except DaemonError:
                self._is_stopped = False  # it may be asked again when the daemon is back
                raise
            HERE.remove(self._hosted)
            leave(self._hosted)
            if self._targets is not None:
                self._targets.stop()
            self._caller.close()
            self._is_over = True

    def view(self) -> DeploymentView:
        """The live widget: functions with replicas, rates, backlogs and errors, to be scaled, read and stopped."""
        return deployment_view(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._is_stopped else f"at {self.url}"
        return f"<Deployment {self.name!r} on {self._hosted.target}, {state}>"

    def _known(self, graph: Graph | None) -> Graph:
        known = graph or self.graph
        if known is None:
            raise DeployError(
                f'Deployment "{self.name}" was attached to without its graph; Deployment.attach(name, graph=g).'
            )
        return known

    def _check_runs(self) -> None:
        if self._is_stopped:
            raise DeployError(f'Deployment "{self.name}" is stopped; deploy the graph again.')

    def _check_function(self, function: str | None) -> None:
        if function is not None and function not in self.functions:
            raise DeployError(f'There is no function "{function}"; functions: {", ".join(self.functions)}.')


def _target(event: Event) -> str:
    """The path by which an event came, with what its query said."""
    return f"{event.path}?{urlencode(event.params, doseq=True)}" if event.params else event.path
