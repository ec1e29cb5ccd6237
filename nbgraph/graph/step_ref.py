"""StepRef: a step of a graph, to wire more to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbgraph.graph.edge import Caught, Condition
from nbgraph.graph.step import UNSAID, Handled, Retried, Step, step
from nbgraph.introspection import documented_as

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph


class StepAdder:
    """Where steps are added by `to`: a graph, which events enter by the new step, or a step, which it follows."""

    __slots__ = ()

    @documented_as(step)
    def to(
        self,
        handler: Handled,
        name: str | None = None,
        *,
        function: str | None = None,
        full_event: bool = UNSAID,
        input_path: str | None = UNSAID,
        result_path: str | None = UNSAID,
        when: Condition | None = None,
        otherwise: bool = False,
        max_iterations: int | None = UNSAID,
        concurrency: int | None = UNSAID,
        ordered: bool = UNSAID,
        retries: int = UNSAID,
        retry_on: Retried = UNSAID,
        timeout: float | None = UNSAID,
        **arguments: Any,
    ) -> StepRef:
        """Add a step: to a graph one that events enter by, to a step one that follows it.

        On a step, a `StepRef` in the place of the handler draws an edge to a step that is there.

        >>> from nbgraph import Graph
        >>> Graph("twice").to(str.strip).to(str.upper).spec.name
        'upper'

        Parameters
        ----------
        when
            Predicate of the body, or an expression over `event`: when the arrow to it is followed.
        otherwise
            Whether it is followed where no condition of the step before holds.
        """
        if isinstance(handler, StepRef):
            return self._lead_to(handler, when=when, otherwise=otherwise)
        declared = step(
            handler,
            name,
            function=function,
            full_event=full_event,
            input_path=input_path,
            result_path=result_path,
            max_iterations=max_iterations,
            concurrency=concurrency,
            ordered=ordered,
            retries=retries,
            retry_on=retry_on,
            timeout=timeout,
            **arguments,
        )
        return self._follow(declared, when=when, otherwise=otherwise)

    def _follow(self, declared: Step, *, when: Condition | None, otherwise: bool) -> StepRef:
        """Put a declared step behind this."""
        raise NotImplementedError

    def _lead_to(self, ref: StepRef, *, when: Condition | None, otherwise: bool) -> StepRef:
        """Draw an edge from here to a step that is there."""
        raise NotImplementedError


class StepRef(StepAdder):
    """Points at one step; its methods wire what follows."""

    __slots__ = ("_graph", "name")

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph = graph
        self.name = name

    @property
    def spec(self) -> Step:
        """The step as it stands in the graph now."""
        return self._graph.spec(self.name)

    def _follow(self, declared: Step, *, when: Condition | None, otherwise: bool) -> StepRef:
        return StepRef(self._graph, self._graph.place(declared, after=[self.name], when=when, otherwise=otherwise))

    def _lead_to(self, ref: StepRef, *, when: Condition | None, otherwise: bool) -> StepRef:
        self._graph.connect(self.name, ref.name, when=when, otherwise=otherwise)
        return StepRef(self._graph, ref.name)

    @property
    def graph_name(self) -> str:
        return self._graph.name

    def respond(self) -> StepRef:
        """This step's result answers the caller."""
        self._graph.respond(self.name)
        return self

    def error_handler(
        self,
        handler: Handled,
        name: str | None = None,
        *,
        before: str | Sequence[str] | None = None,
        on: Caught | None = None,
        **options: Any,
    ) -> StepRef:
        """Another handler takes this step's errors; the flow stops there, or goes on with the steps `before` names.

        `on` limits it to exceptions of some types: the first handler that fits takes the error.

        >>> from nbgraph import Graph
        >>> graph = Graph("whole")
        >>> _ = graph.to(int).error_handler(lambda body: 0, "no_number", on=ValueError)
        >>> graph.run("x")
        0

        Parameters
        ----------
        handler
            Function, class, object, expression in parentheses, or the name of one.
        name
            Name of the step; None: the handler's.
        before
            Steps that the flow goes on with.
        on
            Exceptions that it takes; None: all.
        **options
            As for `to`.
        """
        self._graph.place_error_handler(self.name, step(handler, name, **options), before=before, on=on)
        return self

    def cycle_to(self, *names: str, max_iterations: int | None = None) -> StepRef:
        """Send events back to earlier steps; this step runs at most `max_iterations` times for one event.

        Parameters
        ----------
        *names
            Names of earlier steps.
        max_iterations
            How often it may run for one event on a cycle.
        """
        self._graph.place_cycle(self.name, names, max_iterations)
        return self

    def add_route(self, name: str, handler: Handled, **arguments: Any) -> StepRef:
        """Give a router one more route.

        >>> from nbgraph import Graph
        >>> sum(1 for _ in Graph("g").to("ModelRouter", "models").add_route("m1", str).spec.arguments["routes"])
        1

        Parameters
        ----------
        name
            Name of the route.
        handler
            Function, class, object, expression in parentheses, or the name of one.
        **arguments
            What its class is built with.
        """
        self._graph.place_route(self.name, step(handler, name, **arguments))
        return self

    def __repr__(self) -> str:
        return f"<step {self.name!r} of graph {self._graph.name!r}>"
