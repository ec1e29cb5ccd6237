"""Wiring: the arrow lines and declarations of a cell become the steps and edges of a graph."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from nbgraph.errors import GraphError, LanguageError
from nbgraph.graph.edge import WHOLE_GRAPH, Condition, Edge
from nbgraph.graph.language.arrow_line import JOINT, RESPOND, ArrowItem, ArrowLine, ItemKind, language_error
from nbgraph.graph.language.lexer import Text
from nbgraph.graph.language.reader import Declaration
from nbgraph.graph.language.step_call import Calls
from nbgraph.graph.routes.routing import routes_of, step_of
from nbgraph.graph.step import Step, handler_name, step
from nbgraph.graph.topology import Reachability, cycles, successors
from nbgraph.types import EdgeKind


class Wiring:
    """Collects steps in the order they are first mentioned, and edges in the order they are drawn."""

    def __init__(self, text: Text, calls: Calls) -> None:
        self.steps: dict[str, Step] = {}
        self.edges: dict[Edge, int] = {}  # with the offset of each in the text
        self.responders: list[str] = []
        self._offsets: dict[str, int] = {}  # of the first mention of each step
        self._text, self._calls, self._admission = text, calls, calls.admission
        self._declared: dict[str, Step] = {}
        self._limits: dict[str, int] = {}  # steps with `max` on an arrow, and its offset
        self._ways = Reachability()

    def declare(self, declaration: Declaration) -> Step:
        """Keep the declaration of a name until an arrow mentions it."""
        with self._at(declaration.offset):
            declared = self._calls.step(declaration.call, declaration.source)
        if declaration.name in self._declared:
            message = f'"{declaration.name}" is declared twice; expected one declaration of a name.'
            raise language_error(self._text, declaration.offset, message)
        named = _without_own_name(declared.named(declared.name or declaration.name))
        self._offsets[named.name] = declaration.offset
        self._declared[declaration.name] = named
        return named

    def draw(self, line: ArrowLine) -> None:
        """The steps and edges of one arrow line; its ending applies to its last arrow."""
        self._check_ends(line)
        if line.groups[0] and line.groups[0][0].kind is ItemKind.ROUTE:
            self._check_route(line)
        groups = [[self._mention(item) for item in group] for group in line.groups]
        pairs = list(zip(line.groups, line.groups[1:], groups, groups[1:], strict=False))
        for number, (items, after, sources, targets) in enumerate(pairs):
            is_last = number == len(pairs) - 1
            if any(item.kind is ItemKind.FORBID for item in after):
                self._forbid(sources[0], line)
                continue
            if any(item.kind is ItemKind.RESPOND for item in after):
                self._respond(sources, items, after, line, is_last)
                continue
            if number + 1 in line.broken:
                self._check_broken(sources, after, targets)
            for item, source in zip(items, sources, strict=True):
                for aim, target in zip(after, targets, strict=True):
                    self._connect(item, source, aim, target, line if is_last else None)
        if line.limit is not None:
            self._limit(line, groups)

    @property
    def places(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Line and column of the steps, `(name, "")`, and of the arrows, by where they lead to."""
        steps = {(name, ""): self._text.place(offset) for name, offset in self._offsets.items()}
        return steps | {(edge.source, edge.target): self._text.place(offset) for edge, offset in self.edges.items()}

    def check(self) -> None:
        """Refuse an `else` without a condition beside it and a `max` outside of a cycle, with line and column."""
        conditional = {edge.source for edge in self.edges if edge.when is not None and not edge.is_error}
        for edge, offset in self.edges.items():
            if edge.otherwise and edge.source not in conditional:
                message = f'found `else`, but no arrow of "{edge.source}" has an `if`; expected one beside it.'
                raise language_error(self._text, offset, message)
        if self._limits:
            kinds = (EdgeKind.FLOW, EdgeKind.CYCLE, EdgeKind.ERROR)
            groups = cycles(successors(self.steps, self.edges, kinds=kinds))
            around = {name for group in groups for name in group}
            for name, offset in self._limits.items():
                if name not in around:
                    message = f'found `max`, but "{name}" is on no cycle; expected it on an arrow that goes back.'
                    raise language_error(self._text, offset, message)

    def _check_ends(self, line: ArrowLine) -> None:
        if any(item.kind is ItemKind.RESPOND for item in line.groups[0]):
            message = "found `respond` before an arrow; expected it at the end: `save -> respond`."
            raise language_error(self._text, line.offset, message)
        if not line.groups[0] and len(line.groups) > 2:
            message = "found nothing before the first arrow; expected the step that it leaves."
            raise language_error(self._text, line.offset, message)
        if not line.groups[0] and not self.steps and self._is_stray(line):
            message = "found nothing before the arrow; expected a step. One that stands alone is in brackets: `-> [a]`."
            raise language_error(self._text, line.offset, message)
        has_arrow = len(line.groups[-2]) > 0
        if not has_arrow and (_has_ending(line) or line.items[-1].kind in (ItemKind.RESPOND, ItemKind.GRAPH)):
            message = "found nothing before the arrow; expected a step, since something is said of the arrow."
            raise language_error(self._text, line.offset, message)

    def _check_broken(self, sources: list[str], after: tuple[ArrowItem, ...], targets: list[str]) -> None:
        for aim, target in zip(after, targets, strict=True):
            if target in sources and target != WHOLE_GRAPH:
                message = (
                    f'"{target}" would follow itself: the line above ends in an arrow, and this one begins with the '
                    "same step; expected another step here, or no arrow there."
                )
                raise language_error(self._text, aim.offset, message)

    def _check_route(self, line: ArrowLine) -> None:
        """Refuse a repeated route, unless each of its arrows has its own condition or `else`."""
        item = line.groups[0][0]
        is_choice = line.condition is not None or line.otherwise
        is_choice = is_choice or any(edge.source == item.text and edge.when is not None for edge in self.edges)
        if item.text in self.steps and not is_choice:
            first = self._text.place(self._offsets[item.text])[0]
            message = f"the route {item.text} stands in line {first} already; let that line lead to both: `-> [a, b]`."
            raise language_error(self._text, item.offset, message)

    def _forbid(self, source: str, line: ArrowLine) -> None:
        if len(line.groups) > 2 or _has_ending(line):
            message = "found more beside `forbid`; expected a route and nothing else: `* /internal/* -> forbid`."
            raise language_error(self._text, line.offset, message)
        route = line.groups[0][0].route
        assert route is not None
        with self._at(line.offset):
            self.steps[source] = step_of(replace(route, forbid=True))

    def _is_stray(self, line: ArrowLine) -> bool:
        """Whether a first line that begins with an arrow is a mistake: it mentions only undeclared steps."""
        is_listed = self._text.text[line.offset :].removeprefix("->").lstrip().startswith("[")
        is_new = all(item.kind is ItemKind.NAME and item.text not in self._declared for item in line.items)
        return is_new and not is_listed

    def _mention(self, item: ArrowItem) -> str:
        """The name of the step that an item refers to; a new step is added to the graph."""
        if item.kind in (ItemKind.GRAPH, ItemKind.RESPOND):
            return WHOLE_GRAPH if item.kind is ItemKind.GRAPH else ""
        if item.kind is ItemKind.FORBID:
            return ""
        with self._at(item.offset):
            meant = self._meant(item)
        if meant.name not in self.steps:
            self.steps[meant.name] = meant
            self._offsets.setdefault(meant.name, item.offset)
        if item.function is not None:
            self._set_function(item, meant.name)
        return meant.name

    def _meant(self, item: ArrowItem) -> Step:
        match item.kind:
            case ItemKind.ROUTE:
                assert item.route is not None
                return self.steps.get(item.text) or step_of(item.route)
            case ItemKind.CALL:
                assert isinstance(item.call, ast.Call)
                return self._called(self._calls.step(item.call, item.text))
            case ItemKind.EXPRESSION:
                return Step(self._free(item.text, " "), self._admission.handler(item.text, "an expression"))
            case ItemKind.TEXT:
                name = item.text
            case _:
                name = item.text if item.text in self.steps else handler_name(item.text) or item.text
        declared = self._declared.get(item.text) or self._found(item.text)
        if declared is not None:
            return declared
        if name not in self.steps:
            return Step(name, self._admission.handler(item.text, f'"{item.text}"'))
        known = self.steps[name]
        if (
            "." in item.text
            and item.text != name
            and known.handler != (handler := self._admission.handler(item.text, item.text))
        ):
            return Step(self._free(name), handler)
        return known

    def _found(self, name: str) -> Step | None:
        """A step that was declared elsewhere in the notebook: `clean2 = step(clean, retries=3)`."""
        found = self._admission.scope.namespace.get(name)
        if name in self.steps or not isinstance(found, Step):
            return None
        return _without_own_name(found.named(found.name or name))

    def _called(self, declared: Step) -> Step:
        """A call that names its step means the step of that name; any other makes a new one."""
        given = declared.arguments.get("name")
        if declared.name or isinstance(given, str):
            named = _without_own_name(declared.named(declared.name or str(given)))
            known = self.steps.get(named.name)
            if known is not None and _made(known) != _made(named):
                raise GraphError(f'"{named.name}" is already a step, made in another way; give this one another name.')
            return known or named
        return declared.named(self._free(handler_name(declared.handler) or "step"))

    def _free(self, name: str, gap: str = "") -> str:
        """The name, or the first of name2, name3, ... that is free."""
        number, free = 1, name
        while free in self.steps or free in self._declared:
            number += 1
            free = f"{name}{gap}{number}"
        return free

    def _set_function(self, item: ArrowItem, name: str) -> None:
        function = self.steps[name].function
        if function not in (None, item.function):
            message = (
                f'step "{name}" runs in "{function}" and can\'t run in "{item.function}" too; expected one function.'
            )
            raise language_error(self._text, item.offset, message)
        self.steps[name] = replace(self.steps[name], function=item.function)

    def _connect(self, item: ArrowItem, source: str, aim: ArrowItem, target: str, line: ArrowLine | None) -> None:
        kind = line.kind if line else None
        if target == WHOLE_GRAPH or (source == WHOLE_GRAPH and kind not in (EdgeKind.ERROR, EdgeKind.ALERT)):
            expected = "`* -> handler on error`, or `on alert`: `*` stands for every step of the graph."
            raise language_error(self._text, (aim if target == WHOLE_GRAPH else item).offset, f"expected {expected}")
        if kind is None:
            kind = self._ways.kind(source, target)
        when = None
        if line and line.condition is not None:
            with self._at(line.condition_offset):
                when = self._condition(line.condition, kind)
        if kind is EdgeKind.ERROR:
            self._check_handler(source, target, when, line)
        self.edges[Edge(source, target, when, bool(line and line.otherwise), kind)] = aim.offset
        if kind is not EdgeKind.ALERT:  # nothing flows along it
            self._ways.draw(source, target, kind)

    def _condition(self, text: str, kind: EdgeKind) -> Condition:
        is_error = kind is EdgeKind.ERROR
        return self._admission.caught(text, "on error") if is_error else self._admission.condition(text, "condition")

    def _check_handler(self, source: str, target: str, when: Condition | None, line: ArrowLine | None) -> None:
        for edge in self.edges:
            if edge.is_error and (edge.source, edge.when) == (source, when) and edge.target != target:
                whose = "the graph" if source == WHOLE_GRAPH else f'step "{source}"'
                message = f'{whose} has an error handler already, "{edge.target}", for the same errors; expected one.'
                raise language_error(self._text, line.offset if line else 0, message)

    def _respond(
        self,
        sources: list[str],
        items: tuple[ArrowItem, ...],
        after: tuple[ArrowItem, ...],
        line: ArrowLine,
        is_last: bool,
    ) -> None:
        offset = after[0].offset
        if not is_last or len(after) > 1 or _has_ending(line):
            message = "found more behind `respond`; expected the end of the line: it only says who answers the caller."
            raise language_error(self._text, offset, message)
        if WHOLE_GRAPH in sources:
            raise language_error(self._text, items[0].offset, "found `*`; expected the step that answers.")
        answering = list(dict.fromkeys([*self.responders, *sources]))
        if routes_of(self.steps.values()):  # each route has its own responder, checked when the graph is complete
            own = sources[0] if len(sources) == 1 else self._joined(items, sources, after[0])
            self.responders = list(dict.fromkeys([*self.responders, own]))
            return
        if self.responders and len(answering) > 1:
            names = " and ".join(f'"{name}"' for name in answering)
            message = (
                f"{names} would {'both' if len(answering) == 2 else 'all'} answer; a graph has one responder. Let them "
                f"meet in one line: `[{', '.join(answering)}] -> respond`."
            )
            raise language_error(self._text, offset, message)
        self.responders = [answering[0] if len(answering) == 1 else self._joined(items, sources, after[0])]

    def _joined(self, items: tuple[ArrowItem, ...], sources: list[str], aim: ArrowItem) -> str:
        """The identity step that merges several arrows and is the responder."""
        joint = Step(self._free(RESPOND), JOINT)
        self.steps[joint.name] = joint
        self._offsets[joint.name] = aim.offset
        for item, source in zip(items, sources, strict=False):
            self._connect(item, source, aim, joint.name, None)
        return joint.name

    def _limit(self, line: ArrowLine, groups: list[list[str]]) -> None:
        if line.kind in (EdgeKind.ERROR, EdgeKind.ALERT):
            message = f"found `max` behind `on {line.kind.value}`; expected it on the arrow that goes back."
            raise language_error(self._text, line.offset, message)
        for name in groups[-2]:
            with self._at(line.offset):
                checked = step("x", name, max_iterations=line.limit).options.max_iterations
            self._limits.setdefault(name, line.offset)
            known = self.steps[name]
            self.steps[name] = replace(known, options=replace(known.options, max_iterations=checked))

    @contextmanager
    def _at(self, offset: int) -> Iterator[None]:
        """Give errors of the graph the line and column of this offset."""
        try:
            yield
        except LanguageError:
            raise
        except GraphError as error:
            raise language_error(self._text, offset, str(error)) from error


def _made(declared: Step) -> Step:
    """What the call defines of a step: all but its function and limit, which arrows define."""
    return replace(declared, function=None, options=replace(declared.options, max_iterations=None))


def _has_ending(line: ArrowLine) -> bool:
    is_said = line.kind is not None or line.condition is not None
    return is_said or line.otherwise or line.limit is not None


def _without_own_name(declared: Step) -> Step:
    """The step without its argument `name`, where that repeats the step's name."""
    if declared.arguments.get("name") != declared.name:
        return declared
    given: Mapping[str, object] = {key: value for key, value in declared.arguments.items() if key != "name"}
    return replace(declared, arguments=given)
