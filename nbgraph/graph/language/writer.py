"""Writer: a graph in the language of the `%%graph` cell, so that reading it gives the same graph."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nbgraph.errors import GraphError, LanguageError
from nbgraph.graph.check import unknown_step
from nbgraph.graph.documents.argument import given, handler_expression, is_bare, is_named_first, step_text, value_text
from nbgraph.graph.documents.document import condition_text
from nbgraph.graph.documents.literal import NotLiteralError, quoted
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.language.arrow_line import FORBID, JOINT, RESPOND, ArrowLine, ItemKind, read_arrow_line
from nbgraph.graph.language.header import header_text
from nbgraph.graph.language.lexer import Text, lines
from nbgraph.graph.naming import handler_text, is_dotted
from nbgraph.graph.step import Step, StepOptions
from nbgraph.graph.topology import Reachability
from nbgraph.types import EdgeKind

WIDTH = 100
FORBIDDEN = "\0forbid"  # not a valid step name, so it can't collide
SHORT = 48  # a longer call reads better as a declaration


def source(graph: Graph) -> str:
    """The text of a graph.

    >>> graph = Graph("shout")
    >>> _ = graph.to("clean").to("score", retries=3).respond()
    >>> print(source(graph))
    %%graph shout
    score = step(score, retries=3)
    clean -> score -> respond
    """
    return _LanguageWriter(graph).text()


class _LanguageWriter:
    """Writes one graph; steps are written out where they are first mentioned."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._steps = {step.name: step for step in graph.steps}
        self._routes = {name: route for name, route in graph.routes.items() if name == route.name}
        self._mentioned: set[str] = set()
        self._declarations: dict[str, str] = {}
        self._limits: set[str] = set()  # steps whose limit stands behind an arrow

    def text(self) -> str:
        self._check()
        positions = {name: number for number, name in enumerate(self._steps)}
        endings = dict(zip(self._graph.edges, self._endings(), strict=True))
        edges = self._together()
        alone = self._routes.keys()
        found = Chains(edges, [endings[edge] for edge in edges], {**positions, WHOLE_GRAPH: -1}, alone)
        chains = found.all()
        chains += [Chain([[name], [FORBIDDEN]]) for name, route in self._routes.items() if route.forbid]
        if self._routes:
            self._add_responders(chains)
        else:
            self._add_responder(chains)
        body = [*self._order(chains), *(line for chain in chains for line in self._lines(chain))]
        return "\n".join([header_text(self._graph), *self._declarations.values(), *body]) + "\n"

    def _together(self) -> list[Edge]:
        """The edges, those of a route one behind the other: a route stands once."""
        found: list[Edge] = []
        for edge in self._graph.edges:
            if edge.source not in self._routes:
                found.append(edge)
            elif edge not in found:
                found += [one for one in self._graph.edges if one.source == edge.source]
        return found

    def _check(self) -> None:
        for edge in self._graph.edges:
            for name in (edge.source, edge.target):
                if name not in self._steps and name != WHOLE_GRAPH:
                    raise GraphError(unknown_step(name, self._steps, f'An edge names "{name}"'))

    def _endings(self) -> list[str]:
        """The text behind each edge; empty where a plain arrow reads back as the same edge."""
        ways = Reachability()
        endings = []
        for edge in self._graph.edges:
            plain = ways.kind(edge.source, edge.target) if edge.source != WHOLE_GRAPH else EdgeKind.FLOW
            if edge.is_alert:
                endings.append(f"{self._condition(edge)} on alert")
                continue
            ways.draw(edge.source, edge.target, edge.kind)
            endings.append(f"{self._kind(edge, plain)}{self._condition(edge)}{self._limit(edge)}")
        return endings

    def _kind(self, edge: Edge, plain: EdgeKind) -> str:
        if edge.kind is EdgeKind.ERROR:
            return " on error"
        return "" if edge.kind is plain else f" {edge.kind.value}"

    def _condition(self, edge: Edge) -> str:
        if edge.kind is EdgeKind.ERROR:
            return (f" {_caught(str(edge.when))}" if edge.when is not None else "") + " else" * edge.otherwise
        text = None if edge.when is None else condition_text(edge.when)
        if edge.when is not None and text is None:
            raise GraphError(
                f'The condition of "{edge.source}" -> "{edge.target}" is a function without a name, which has no text '
                'form; write it as an expression ("event > 3"), or give the function a name.'
            )
        otherwise = " else" if edge.otherwise else ""
        return otherwise if text is None else f" if {text if _reads_back(text) else quoted(text)}{otherwise}"

    def _limit(self, edge: Edge) -> str:
        """The limit of a step stands behind the first arrow that goes back from it."""
        limit = self._steps[edge.source].options.max_iterations if edge.source in self._steps else None
        if edge.kind is not EdgeKind.CYCLE or limit is None or edge.source in self._limits:
            return ""
        self._limits.add(edge.source)
        return f" max {limit}"

    def _add_responder(self, chains: list[Chain]) -> None:
        responder = self._graph.responder
        if responder is None:
            return
        if chains and chains[-1].groups[-1] == [responder] and not chains[-1].ending:
            if self._is_joint(responder, chains[-1].groups):
                chains[-1].groups.pop()
            chains[-1].groups.append([""])
        else:
            chains.append(Chain([[responder], [""]]))

    def _add_responders(self, chains: list[Chain]) -> None:
        """One for each route, behind the line that ends with it."""
        for name in self._graph.responders:
            line = next((one for one in chains if one.groups[-1] == [name] and not one.ending), None)
            if line is not None:
                line.groups.append([""])
            else:
                chains.append(Chain([[name], [""]]))

    def _is_joint(self, name: str, groups: list[list[str]]) -> bool:
        """Whether `[a, b] -> respond` implies the step: the last one, where exactly these sources meet."""
        leading = [edge.source for edge in self._graph.edges if edge.target == name]
        is_end = all(edge.source != name for edge in self._graph.edges)
        is_last = next(reversed(self._steps)) == name == RESPOND
        is_plain = self._steps[name] == Step(name, JOINT)
        return is_last and is_end and is_plain and len(leading) > 1 and leading == groups[-2]

    def _order(self, chains: Iterable[Chain]) -> Iterator[str]:
        """A first line that fixes the order of the steps where the arrows alone would give another."""
        natural = dict.fromkeys(name for chain in chains for group in chain.groups for name in group)
        names = [name for name in self._steps if name in natural or name not in self._graph.responders]
        names = [name for name in names if name not in self._routes]
        place = {name: number for number, name in enumerate(natural)}
        begin, before = len(names), len(place)
        while begin and place.get(names[begin - 1], before) < before:
            begin -= 1
            before = place[names[begin]]
        first = names[:begin]
        if first:
            yield f"-> [{_wrapped(map(self._item, first))}]"

    def _lines(self, chain: Chain) -> Iterator[str]:
        """The line of a chain, broken between arrows where it grows long."""
        text, arrows = self._group(chain.groups[0]), 0
        for number, group in enumerate(chain.groups[1:], 1):
            after = self._group(group)
            if len(text) + len(after) > WIDTH and arrows:
                yield text
                text, arrows = self._group(chain.groups[number - 1]), 0
            text, arrows = f"{text} -> {after}", arrows + 1
        yield text + chain.ending

    def _group(self, names: list[str]) -> str:
        return self._item(names[0]) if len(names) == 1 else f"[{', '.join(map(self._item, names))}]"

    def _item(self, name: str) -> str:
        """A step in an arrow line: written out at its first mention, by name after that."""
        if name in ("", WHOLE_GRAPH, FORBIDDEN):
            return FORBID if name == FORBIDDEN else name or RESPOND
        if name in self._routes:
            return self._route(name)
        if name in self._mentioned:
            return _name(name)
        function = self._steps[name].function
        written = self._first(name)
        self._mentioned.add(name)
        return written if function is None else f"{written}@{function if is_bare(function) else quoted(function)}"

    def _route(self, name: str) -> str:
        """A route, with what it takes of the body where it stands first."""
        step, route = self._steps[name], self._routes[name]
        written = route.name
        if route.body is not None and name not in self._mentioned:
            written += f" {value_text(dict(route.body))}"
        if step.function is not None and name not in self._mentioned:
            written += f"@{step.function if is_bare(step.function) else quoted(step.function)}"
        self._mentioned.add(name)
        return written

    def _first(self, name: str) -> str:
        step = self._spec(name)
        handler = "" if isinstance(step.handler, Graph) else handler_text(step)
        if handler and not step.arguments and step.options == StepOptions():
            if handler == name:
                return handler if _is_expression(handler) else _name(name)
            if handler.rpartition(".")[2] == name != RESPOND and all(map(is_bare, handler.split("."))):
                return handler
        try:
            return self._named_first(step, handler) or self._call(step, handler) or self._declared(step)
        except NotLiteralError as error:
            raise GraphError(
                f'Step "{name}" has an argument that is a {error}, which has no text form. Name it in the notebook '
                '(`data = ...`) and refer to it by that name: in a %%graph cell as it is, in Python as Code("data").'
            ) from None

    def _spec(self, name: str) -> Step:
        """The step without what other lines of the text express."""
        step = self._steps[name]
        options = replace(step.options, max_iterations=None) if name in self._limits else step.options
        return replace(step, arguments=given(step), options=options, function=None)

    def _named_first(self, step: Step, handler: str) -> str | None:
        """`Queue("scored")`, `Deployed("scoring")`: the name is the first argument."""
        if not is_named_first(handler) or step.options != StepOptions() or {"*", "name"} & set(step.arguments):
            return None
        call = step_text(step)
        return call.replace(f"{handler}(", f"{handler}({quoted(step.name)}{', ' if step.arguments else ''}", 1)

    def _call(self, step: Step, handler: str) -> str | None:
        """`Batch(10)`, where the name is the one that the call gets by itself."""
        base = handler.rpartition(".")[2]
        text = step_text(step)
        is_call = is_dotted(handler_expression(step)) and text.startswith(f"{handler}(")
        is_own = step.name == base or (len(text) <= SHORT and step.name.startswith(base))
        if not is_call or not is_own or "name" in step.arguments:
            return None
        number, free = 1, base
        while free in self._mentioned or free in self._declarations:
            number += 1
            free = f"{base}{number}"
        return text if free == step.name else None

    def _declared(self, step: Step) -> str:
        if is_bare(step.name) and step.name != RESPOND:
            self._declarations[step.name] = f"{step.name} = {step_text(step)}"
            return step.name
        return step_text(step, name=step.name)


def _name(name: str) -> str:
    return name if is_bare(name) and name != RESPOND else quoted(name)


def _is_expression(text: str) -> bool:
    line = _arrow_line(f"a -> {text}")
    return line is not None and (line.items[-1].kind, line.items[-1].text) == (ItemKind.EXPRESSION, text)


def _caught(names: str) -> str:
    line = _arrow_line(f"a -> b on error {names}")
    return names if line is not None and line.condition == names else quoted(names)


def _reads_back(condition: str) -> bool:
    line = _arrow_line(f"a -> b if {condition}")
    return line is not None and line.condition == condition and line.limit is None


def _arrow_line(text: str) -> ArrowLine | None:
    """The arrow line of a text; None if it is something else."""
    found = list(lines(text))
    try:
        return read_arrow_line(found[0], Text(text)) if len(found) == 1 else None
    except LanguageError:
        return None


def _wrapped(items: Iterable[str]) -> str:
    """Items with commas between them, on as many lines as they need."""
    rows = [""]
    for item in items:
        if rows[-1] and len(rows[-1]) + len(item) > WIDTH:
            rows.append("")
        rows[-1] += f"{item}, "
    return "\n    ".join(row.rstrip() for row in rows).removesuffix(",")


# Chain: edges, in their order, as few readable arrow lines.


@dataclass
class Chain:
    """One arrow line: groups of names, and the condition and the limit of the last arrow."""

    groups: list[list[str]]
    ending: str = ""


@dataclass
class Chains:
    """Joins edges greedily: `a -> b`, `b -> c` become `a -> b -> c`, `a -> b`, `a -> c` become `a -> [b, c]`.

    >>> edges = [Edge("a", "b"), Edge("b", "c"), Edge("b", "d"), Edge("c", "e"), Edge("d", "e")]
    >>> [chain.groups for chain in Chains(edges, [""] * 5, {name: at for at, name in enumerate("abcde")}).all()]
    [[['a'], ['b'], ['c', 'd'], ['e']]]

    `endings` says of each edge what must stand behind it; an edge with an ending ends its line. `positions` is the
    order of the steps, which joining must not disturb.
    """

    edges: Sequence[Edge]
    endings: Sequence[str]
    positions: Mapping[str, int]
    alone: Collection[str] = ()  # sources that share no line with others
    _at: int = 0
    _mentioned: set[str] = field(default_factory=set)

    def all(self) -> list[Chain]:
        found: list[Chain] = []
        while self._at < len(self.edges):
            found.append(self._chain())
        return found

    def _chain(self) -> Chain:
        edge, ending = self.edges[self._at], self.endings[self._at]
        if ending:
            self._at += 1
            return self._mention(Chain([[edge.source], [edge.target]], ending))
        chain = self._mention(Chain(self._block()))
        while (targets := self._next(chain.groups[-1])) is not None:
            self._mention(Chain([targets]))
            chain.groups.append(targets)
        if chain.groups[-1] == [self._source()] and self.endings[self._at].startswith(" max"):
            chain.groups.append([self.edges[self._at].target])
            chain.ending = self.endings[self._at]
            self._at += 1
        return self._mention(chain)

    def _block(self) -> list[list[str]]:
        """Sources and targets of the arrows that begin here, each source to each target."""
        targets = self._run()
        sources = [self._source()]
        self._at += len(targets)
        while (
            sources[0] not in self.alone
            and self._source() not in self.alone
            and self._run() == targets
            and self._is_in_order(self._source(), targets)
            and self._source() not in sources
        ):
            sources.append(self._source())
            self._at += len(targets)
        return [sources, targets]

    def _next(self, sources: list[str]) -> list[str] | None:
        """The targets that all these sources send to next, one source after the other."""
        begin, targets = self._at, self._run()
        for source in sources:
            if not targets or self._source() != source or self._run()[: len(targets)] != targets:
                self._at = begin
                return None
            self._at += len(targets)
        return targets

    def _run(self) -> list[str]:
        """The targets of the plain arrows that leave the same source here."""
        targets: list[str] = []
        for number in range(self._at, len(self.edges)):
            edge = self.edges[number]
            if self.endings[number] or edge.source != self._source() or edge.target in targets:
                break
            targets.append(edge.target)
        return targets

    def _source(self) -> str:
        return self.edges[self._at].source if self._at < len(self.edges) else ""

    def _is_in_order(self, source: str, targets: list[str]) -> bool:
        """Whether the source may be mentioned before the targets."""
        new = [self.positions[name] for name in targets if name not in self._mentioned]
        return source in self._mentioned or all(self.positions[source] < position for position in new)

    def _mention(self, chain: Chain) -> Chain:
        self._mentioned.update(name for group in chain.groups for name in group)
        return chain
