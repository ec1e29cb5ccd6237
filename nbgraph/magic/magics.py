"""The magic: `%%graph NAME` defines a graph and shows it, `%graph NAME` shows one, `%graph` lists them."""

from __future__ import annotations

import argparse
import re
import weakref
from collections.abc import Callable
from types import CodeType
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic import no_var_expand

from nbgraph.debug.samples import SampleCheck
from nbgraph.deploy.target import any_of, hosts
from nbgraph.graph.builder import OPENAI
from nbgraph.graph.documents.argument import is_bare
from nbgraph.graph.finding import meant
from nbgraph.graph.graph import Graph
from nbgraph.graph.language.header import MOST, ROUTES, header_of, header_text
from nbgraph.graph.language.language import calls_of
from nbgraph.graph.naming import slug
from nbgraph.graph.safety.formula import compiled
from nbgraph.graph.scope import Scope
from nbgraph.magic.cell import cell_number, define
from nbgraph.magic.check import FILE, SampleChecks, samples_of
from nbgraph.magic.completion import OPTIONS
from nbgraph.magic.notice import Notices
from nbgraph.magic.options import words
from nbgraph.magic.traceback import of_cell, short, show_without_stack
from nbgraph.widgets.builder import BuilderWidget
from nbgraph.widgets.editor.source_edit import without_python
from nbgraph.widgets.graph import GraphWidget
from nbgraph.widgets.picture.static_output import show, show_widget

ABOUT = """Wire the functions of the notebook into a graph.

A cell holds Python and arrow lines, `clean -> score -> save`, `score -> alert if event["p"] > 0.9`,
`score -> dead_letter on error`, `save -> respond`. `%graph NAME` shows a graph, `%graph` lists them.

"""


def register(shell: Any) -> None:
    """Add `%graph` and `%%graph` to a shell."""
    magic = GraphMagic(shell)

    def graph(line: str, cell: str | None = None) -> Any:
        __tracebackhide__ = True
        try:
            return magic(line, cell)
        except UsageError:
            raise  # IPython shows its message and nothing else
        except SyntaxError as error:
            raise of_cell(error) from None
        except Exception as error:
            raise short(error)  # noqa: B904  # it is the same error

    graph.__doc__ = ABOUT + magic.parser.format_help()
    no_var_expand(graph)  # `{x}` and `$x` in a cell are Python, not shell variables
    shell.register_magic_function(graph, "line_cell", "graph")
    if _with_body not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(_with_body)
    shell.events.register("post_run_cell", magic.notices.renew)
    shell.events.register("post_run_cell", magic.checks.renew)
    show_without_stack(shell)


def _with_body(lines: list[str]) -> list[str]:
    """A `%%graph` line alone gets a blank line below it: IPython calls no cell magic whose body is empty."""
    is_alone = bool(lines) and re.match(r"%%graph\s", lines[0]) is not None and not "".join(lines[1:])
    return [lines[0].rstrip("\n") + "\n", "\n"] if is_alone else lines


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"unrecognized arguments:.*?(--?[\w-]+)", message)
        hint = meant(unknown[1], OPTIONS) if unknown else ""
        raise UsageError(f"%graph: {message}{hint and '.'}{hint}\n{self.format_usage()}")


class GraphMagic:
    """The magic of one shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.notices = Notices(shell)
        self.checks = SampleChecks(shell)
        self._defining: weakref.WeakSet[GraphWidget] = weakref.WeakSet()  # the views of cells that define a graph
        self.parser = _Parser(prog="%%graph", add_help=False, allow_abbrev=False)
        for name, metavar, about in (
            ("--run", "EXPR", "run one event, the value of a Python expression, and give the answer"),
            ("--debug", "EXPR", "step through an event"),
            (
                "--check",
                "SAMPLES",
                "run samples: a list of bodies, their file, or `samples`, the file beside the notebook",
            ),
            ("--deploy", "TARGET", f"host it, or renew what is hosted already: {any_of(hosts())}"),
            ("--export", "FOLDER", "write it as a project that runs without this notebook"),
            ("--error-stream", "X", "where unhandled errors are reported"),
        ):
            self.parser.add_argument(name, metavar=metavar, help=about)
        self.parser.add_argument("name", nargs="?", help="the graph: the notebook's variable that holds it")
        self.parser.add_argument("--hide", action="store_true", help="show no picture")
        self.parser.add_argument("--no-copy", action="store_true", help="branches share one body")
        self.parser.add_argument("--build", action="store_true", help="change it by hand: palette, picture and text")
        about = "requests enter by the routes that arrow lines begin with, or as OpenAI's chat"
        self.parser.add_argument("--api", nargs="?", const=ROUTES, choices=(ROUTES, OPENAI), help=about)
        about = "what goes along its edges is counted, and compared with that baseline; %%graph NAME --monitor shows it"
        self.parser.add_argument("--monitor", nargs="?", const="", metavar="BASELINE", help=about.replace("%", "%%"))
        about = "how often a step on a cycle may run for one event"
        self.parser.add_argument("--max-iterations", metavar="N", type=int, help=about)

    def __call__(self, line: str, cell: str | None) -> Any:
        try:
            given = self.parser.parse_args(words(line))
        except ValueError as error:  # a quote that is never closed
            raise UsageError(f"%graph: {error} in {line!r}") from None
        self._check_values(given)
        if given.name is None and cell is not None:
            raise UsageError("%%graph: the graph has no name; write `%%graph NAME`.")
        if given.name is None:
            print(self._list())
            return None
        is_canvas = given.build and not (cell or "").strip()  # what is built there by hand outlives its cell's next run
        graph = self._shown(given) if cell is None or is_canvas else self._defined(given, line, cell)
        if not given.hide:
            self._show(graph, is_built=given.build, is_defined=cell is not None)
        self.notices.show(graph)
        return self._done(graph, given)

    def _check_values(self, given: argparse.Namespace) -> None:
        """Refuse invalid options before the graph of that name is replaced."""
        for option, text in (("--run", given.run), ("--debug", given.debug), ("--check", given.check)):
            if text is not None:
                _code(option, text)
        if given.deploy is not None and given.deploy not in hosts():
            hint = meant(given.deploy, list(hosts()))
            raise UsageError(f"%graph --deploy: found {given.deploy!r}; expected {', '.join(hosts())}.{hint}")

    def _defined(self, given: argparse.Namespace, line: str, cell: str) -> Graph:
        """The graph of the cell, bound to its name; an existing graph of that name is updated in place."""
        namespace: dict[str, Any] = self.shell.user_ns
        if not is_bare(given.name):
            raise UsageError(f"%%graph: {given.name!r} can't name a variable; a notebook holds a graph by its name.")
        most = MOST if given.max_iterations is None else given.max_iterations
        calls = calls_of(Scope(namespace))
        header = header_of(
            given.name, most, given.error_stream, calls, copy=not given.no_copy, api=given.api, monitor=given.monitor
        )
        new = define(self.shell, header, line, cell)
        graph = namespace.get(given.name)
        new.written = without_python(header_text(new), cell)
        if isinstance(graph, Graph):
            graph.written = new.written
            graph.become(new)
            for widget in self._defining:
                if widget.graph is graph:  # the text above it is not the graph's any more
                    widget.replaced = f"defined anew in cell [{cell_number(self.shell)}]"
            return graph
        namespace[given.name] = new
        return new

    def _shown(self, given: argparse.Namespace) -> Graph:
        graph = self.shell.user_ns.get(given.name)
        if graph is None and given.build:
            return self._defined(given, given.name, "")
        if not isinstance(graph, Graph):
            known = self._graphs()
            hint = meant(given.name, known)
            raise UsageError(f'%graph: there is no graph "{given.name}". Graphs: {", ".join(known) or "none"}.{hint}')
        if given.max_iterations is not None or given.error_stream is not None or given.no_copy or given.api:
            options = "--max-iterations, --error-stream, --no-copy and --api"
            raise UsageError(f"%graph: {options} belong to the cell that defines the graph.")
        return graph

    def _graphs(self) -> dict[str, Graph]:
        held = self.shell.user_ns.items()
        return {name: value for name, value in held if isinstance(value, Graph) and not name.startswith("_")}

    def _list(self) -> str:
        graphs = self._graphs().items()
        lines = [f"{name}: {len(graph.steps)} steps, {len(graph.edges)} edges" for name, graph in graphs]
        return "\n".join(lines) or "There is no graph yet; `%%graph NAME` defines one."

    def _show(self, graph: Graph, *, is_built: bool, is_defined: bool) -> None:
        if getattr(self.shell, "kernel", None) is None:
            show(graph, live=False)
            return
        widget = BuilderWidget(graph) if is_built else GraphWidget(graph)
        show_widget(widget)
        if is_defined:
            self._defining.add(widget)

    def _done(self, graph: Graph, given: argparse.Namespace) -> Any:
        """Do what the options ask for, in order; the last result is the result of the cell."""
        actions: tuple[tuple[str | None, Callable[[str], Any]], ...] = (
            (given.export, graph.export),
            (given.deploy, lambda target: graph.deploy(target, name=slug(graph.name))),
            (given.check, lambda text: self.checks.show(graph, samples_of(graph, self._samples(text)))),
            (given.run, lambda text: graph.run(self._value("--run", text))),
            (given.debug, lambda text: graph.debug(self._value("--debug", text))),
        )
        result = None
        for text, action in actions:
            if text is not None:
                result = action(text)
        return None if isinstance(result, SampleCheck) else result  # it is shown already

    def _samples(self, text: str) -> Any:
        is_file = text.strip() == FILE and FILE not in self.shell.user_ns
        return FILE if is_file else self._value("--check", text)

    def _value(self, option: str, text: str) -> Any:
        """The value of an option's expression, evaluated in the notebook."""
        return eval(_code(option, text), self.shell.user_ns)


def _code(option: str, text: str) -> CodeType:
    if not text.strip():
        raise UsageError(f'%graph {option}: nothing follows it; expected an expression: {option} {{"amount": 120}}.')
    try:
        return compiled(text, option)
    except SyntaxError as error:
        raise UsageError(f"%graph {option}: {text!r} is not an expression: {error.msg}.") from None
