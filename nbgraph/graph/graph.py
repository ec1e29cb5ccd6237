"""Graph: what the user means: named steps, the arrows between them, who answers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbgraph.errors import GraphError
from nbgraph.graph import check
from nbgraph.graph.builder import PREVIOUS, Builder, names_of
from nbgraph.graph.documents.io import Documents
from nbgraph.graph.edge import WHOLE_GRAPH, Caught, Condition, Edge
from nbgraph.graph.facade import Facade
from nbgraph.graph.finding import Finding
from nbgraph.graph.scope import Scope
from nbgraph.graph.step import Handled, Step, step
from nbgraph.graph.step_ref import StepAdder, StepRef

if TYPE_CHECKING:
    from nbgraph.monitor.monitor import Monitor


class Graph(Builder, StepAdder, Facade, Documents):
    """A graph of steps. It is plain data: it holds no socket, loop or colour, and runs by being compiled.

    Each branch has a body of its own: what a step changes in place no other branch sees. With `copy=False` they share
    one body, which saves the copies where no step changes its body.

    Handlers, conditions and arguments given as text are looked up, at each compile, in the global names of the module
    or notebook whose code calls `Graph(...)`: a factory in a helper module gives a graph the names of that module.

    >>> graph = Graph("shout")
    >>> graph.to(str.strip).to(str.upper).respond()
    <step 'upper' of graph 'shout'>
    >>> graph.run(" hello ")
    'HELLO'
    """

    def __init__(
        self,
        name: str = "graph",
        max_iterations: int = 100,
        error_stream: Any = None,
        copy: bool = True,
        protocol: str | None = None,
    ) -> None:
        Builder.__init__(self, name, max_iterations, error_stream, copy, Scope(sys._getframe(1).f_globals), protocol)
        Facade.__init__(self)

    @classmethod
    def assemble(
        cls,
        name: str,
        steps: Iterable[Step],
        edges: Iterable[Edge],
        *,
        scope: Scope,
        responders: Iterable[str] = (),
        max_iterations: int = 100,
        error_stream: Any = None,
        copy: bool = True,
        protocol: str | None = None,
        watched: Monitor | None = None,
    ) -> Graph:
        """A graph of parts that were looked at already: what the readers of texts end with."""
        graph = cls(name, max_iterations, error_stream, copy, protocol)
        graph._steps = {step.name: step for step in steps}
        graph._edges = list(dict.fromkeys(edges))
        graph._last = next(reversed(graph._steps), None)
        graph.responders, graph.scope, graph.watched = tuple(responders), scope, watched
        return graph

    def step(self, name: str) -> StepRef:
        """The step of that name, to wire more to it.

        Parameters
        ----------
        name
            Name of the step.
        """
        self.spec(name)
        return StepRef(self, name)

    def _follow(self, declared: Step, *, when: Condition | None, otherwise: bool) -> StepRef:
        return StepRef(self, self.place(declared, when=when, otherwise=otherwise))

    def _lead_to(self, ref: StepRef, *, when: Condition | None, otherwise: bool) -> StepRef:
        raise GraphError(
            f'Step "{ref.name}" is in graph "{ref.graph_name}" already, and graph.to adds a step that events enter by; '
            "name a handler, or draw an edge from another step: graph.step(NAME).to(...)."
        )

    def add_step(
        self,
        handler: Handled,
        name: str | None = None,
        *,
        after: str | Sequence[str] | None = None,
        before: str | Sequence[str] | None = None,
        when: Condition | None = None,
        otherwise: bool = False,
        **options: Any,
    ) -> StepRef:
        """Add a step anywhere: after steps, before others (taking their arrows over), between both.

        >>> graph = Graph("between")
        >>> _ = graph.to(str.strip).to(str.upper)
        >>> _ = graph.add_step(str.title, after="strip", before="upper")
        >>> [(edge.source, edge.target) for edge in graph.edges]
        [('strip', 'title'), ('title', 'upper')]

        Parameters
        ----------
        handler
            Function, class, object, expression in parentheses, or the name of one.
        name
            Name of the step; None: the handler's.
        after
            Steps that it follows; `"$prev"`: the one added last.
        before
            Steps that follow it.
        when
            Predicate of the body, or an expression over `event`: when the arrow to it is followed.
        otherwise
            Whether it is followed where no condition of the step before holds.
        **options
            As for `to`.
        """
        parents = [self._previous() if parent == PREVIOUS else parent for parent in names_of(after)]
        declared = step(handler, name, **options)
        return StepRef(self, self.place(declared, parents, names_of(before), when=when, otherwise=otherwise))

    def api(
        self,
        method: str,
        path: str,
        to: Handled | StepRef | None = None,
        *,
        forbid: bool = False,
        body: Mapping[str, str] | None = None,
    ) -> StepRef:
        """Let requests of a method and a path enter by a step: one that is there, or a new one; the step's ref.

        >>> graph = Graph("shop")
        >>> _ = graph.api("GET", "/users/{id}", to=lambda body, id, limit="10": f"user {id}, {limit} orders")
        >>> _ = graph.api("*", "/internal/*", forbid=True)
        >>> graph.run(None, method="GET", path="/users/7?limit=3")
        'user 7, 3 orders'

        Parameters
        ----------
        method, path
            `"GET"`, or `"*"` for each; `"/users/{id}"`, or `"/files/*"` for all paths from there on.
        to
            The name of a step of the graph or its ref, or a handler for a new step.
        forbid
            Callers are refused (403), and there is no step.
        body
            Parts of the caller's body that the graph gets: `{"amount": "$.order.amount!"}`; where a `!` says that a
            part must be there, a request without it is refused (422).
        """
        if forbid == (to is not None):
            raise GraphError(f'Route "{method} {path}" needs a step to lead to, to=..., or forbid=True, and not both.')
        from nbgraph.graph.routes.route import Route  # most graphs have none

        name = self.place_endpoint(Route(method, path, forbid, body))
        if to is None:
            return StepRef(self, name)
        known = to.name if isinstance(to, StepRef) else to if isinstance(to, str) and to in self else None
        if known is None:
            assert not isinstance(to, StepRef)
            return StepRef(self, self.place(step(to), after=[name]))
        self.connect(name, known)
        return StepRef(self, known)

    def error_handler(
        self, handler: Handled, name: str | None = None, *, on: Caught | None = None, **options: Any
    ) -> Graph:
        """One handler for the errors that no step's own handler takes.

        Parameters
        ----------
        handler
            Function, class, object, expression in parentheses, or the name of one.
        name
            Name of the step; None: the handler's.
        on
            Exceptions that it takes; None: all.
        **options
            As for `to`.
        """
        if "before" in options:
            raise GraphError(
                f'The error handler of graph "{self.name}" has `before`; only a step\'s own handler can go on with '
                "other steps: use graph.step(name).error_handler(handler, before=...)."
            )
        self.place_error_handler(WHOLE_GRAPH, step(handler, name, **options), on=on)
        return self

    def alert_handler(
        self,
        handler: Handled,
        name: str | None = None,
        *,
        at: str | None = None,
        when: Condition | None = None,
        **options: Any,
    ) -> StepRef:
        """Let a step take alerts: about the edges of one step, or all.

        >>> graph = Graph("fraud")
        >>> _ = graph.to(str.strip).to(str.upper)
        >>> _ = graph.alert_handler(print, "page", at="upper")
        >>> graph.edges[-1].kind.value, graph.run(" a ")
        ('alert', 'A')

        Parameters
        ----------
        handler
            Function, class, object, expression in parentheses, or the name of one.
        name
            Name of the step; None: the handler's.
        at
            The step whose edges they are about; None: any.
        when
            Predicate of the alert's body, or an expression over `event`.
        **options
            As for `to`.
        """
        source = WHOLE_GRAPH if at is None else at
        return StepRef(self, self.place_alert_handler(source, step(handler, name, **options), when))

    def __copy__(self) -> Graph:
        """A graph of the same steps and arrows, which then goes its own way; what they name is shared."""
        return _restored(*self._parts())

    def __deepcopy__(self, memo: Any) -> Graph:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it says; runs, views and observers stay where they are."""
        return _restored, self._parts()

    def _parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What it is assembled of, and what is kept beside."""
        made_of = {
            "name": self.name,
            "steps": self.steps,
            "edges": self.edges,
            "scope": self.scope,
            "copy": self.copy,
            "responders": self.responders,
            "protocol": self.protocol,
            "max_iterations": self.max_iterations,
            "error_stream": self.error_stream,
            "watched": self.watched,
        }
        beside = {
            "_last": self._last,
            "_cut_off": dict(self._cut_off),
            "written": self.written,
            "redacted": set(self.redacted),
            "places": dict(self.places),
        }
        return made_of, beside

    def check(self) -> list[str]:
        """All faults of the graph, and what looks like a slip, one sentence each; an empty list for a sound graph."""
        return [*(finding.text for finding in self.findings()), *check.shared(self.copier.shared)]

    def findings(self) -> list[Finding]:
        """As `check`, each with the step or arrow that it is about, and whether it stops a run."""
        return [*check.findings(self.steps, self.edges, self._cut_off, self.responders), *self._inspected()]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._spec_document() == other._spec_document()

    __hash__ = object.__hash__  # a graph is a place that views and runs refer to

    def __repr__(self) -> str:
        return f"<Graph {self.name!r}: {len(self._steps)} steps, {len(self._edges)} edges>"

    def _changed(self) -> None:
        self._before, self._plan = self._plan or self._before, None
        super()._changed()


def _restored(made_of: dict[str, Any], beside: dict[str, Any]) -> Graph:
    graph = Graph.assemble(**made_of)
    vars(graph).update(beside)
    return graph
