"""Cell: the Python of a `%%graph` cell runs in the notebook, its arrow lines become a graph."""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CoroutineType, FunctionType, TracebackType
from typing import Any

from nbgraph import steps
from nbgraph.engine import nested_loop
from nbgraph.errors import GraphError
from nbgraph.graph import check
from nbgraph.graph.graph import Graph
from nbgraph.graph.language.arrow_line import RESPOND, language_error
from nbgraph.graph.language.foreign_arrow import foreign_arrow_of
from nbgraph.graph.language.header import Header
from nbgraph.graph.language.language import build, calls_of
from nbgraph.graph.language.reader import Cell, Declaration, read_cell
from nbgraph.graph.scope import Scope, dotted
from nbgraph.graph.step import Step, handler_name, step
from nbgraph.magic.notice import located

STEP = "step"


def define(shell: Any, header: Header, line: str, body: str) -> Graph:
    """Run a cell and return its graph; if anything fails, the notebook's names are restored."""
    __tracebackhide__ = True
    namespace: dict[str, Any] = shell.user_ns
    cell = read_cell(body, first_line=2)
    _refuse_own_name(cell, header)
    _refuse_foreign_arrows(cell, namespace)
    declared = _declared(cell, namespace)
    with _undone_on_failure(namespace):
        _run(shell, cell, declared, f"%%graph {line}\n{body}")
        graph = build(cell, header, Scope(namespace), declared, is_checked=True)
        if wrong := [
            located(graph, one)
            for one in check.findings(graph.steps, graph.edges, {}, graph.responders)
            if one.is_fault
        ]:
            raise GraphError.of_problems(graph.name, wrong)
        for declaration in declared:
            spec = graph.spec(declaration.name)
            if handler_name(spec.handler) != declaration.name:  # `clean = step(clean, ...)` must leave the function
                namespace[declaration.name] = spec
    return graph


def _refuse_own_name(cell: Cell, header: Header) -> None:
    if header.name in cell.wired:
        raise GraphError(
            f'"{header.name}" is the name of the graph and of a step in it; a name of the notebook means one object: '
            "give the graph another name."
        )


def _refuse_foreign_arrows(cell: Cell, namespace: Mapping[str, Any]) -> None:
    """`clean >> score` would fail with a TypeError that does not say what arrows are, or do nothing."""
    defined = {
        line.tokens[at + 1].text
        for line in cell.python
        for at in range(min(2, len(line.tokens) - 1))
        if line.tokens[at].text in ("def", "class")
    }
    held = {name for name, value in namespace.items() if isinstance(value, type | FunctionType | Step)}
    known = {*defined, *held, *cell.wired, *steps.catalogue().modules, RESPOND}
    for line in cell.python:
        slip = foreign_arrow_of(line)
        if slip is not None and slip.is_sure(known):
            raise language_error(cell.text, slip.offset, slip.message)


def _declared(cell: Cell, namespace: Mapping[str, Any]) -> list[Declaration]:
    """The assignments that only declare a step: the graph builds its class, so the cell must not."""
    tree = _parsed(cell.python_text(cell.declarations))
    if tree is None:
        return []  # running the cell raises the SyntaxError
    named = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    used = _names(tree) | {name for item in cell.declarations for name in _argument_names(item)}
    counts = [item.name for item in cell.declarations]
    return [
        item
        for item in cell.declarations
        if item.name in cell.wired
        and item.name not in used
        and counts.count(item.name) == 1
        and _is_step(item, namespace, named)
    ]


def _is_step(item: Declaration, namespace: Mapping[str, Any], defined: set[str]) -> bool:
    function = dotted(item.call.func)
    if function is None:
        return False
    if function == STEP and namespace.get(STEP, step) is not step:
        return False
    if function != STEP and function not in defined and not isinstance(_found(function, namespace), type):
        return False
    try:
        calls_of(Scope(namespace)).step(item.call, item.source)
    except GraphError:
        return function != STEP  # computed options: Python builds the step, and its error is exact
    return True


def _found(name: str, namespace: Mapping[str, Any]) -> Any:
    root, *parts = name.split(".")
    found = namespace.get(root, steps.catalogue().get(root))
    for part in parts:
        found = getattr(found, part, None)
    return found


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _argument_names(item: Declaration) -> set[str]:
    values = [*item.call.args, *(keyword.value for keyword in item.call.keywords)]
    is_own = dotted(item.call.func) == STEP  # the handler of `clean = step(clean, ...)` is not the step
    return {name for value in values for name in _names(value)} - ({item.name} if is_own else set())


def _run(shell: Any, cell: Cell, declared: list[Declaration], raw: str) -> None:
    """Run the Python of a cell as the cell's own lines, so that tracebacks and `inspect` show them."""
    __tracebackhide__ = True
    body = _transformed(shell, cell.python_text(declared))
    if not body.strip():
        return
    text = "\n" + body  # the body begins on line 2 of the cell
    name = shell.compile.cache(raw, cell_number(shell), raw_code=raw)
    tree = shell.transform_ast(shell.compile.ast_parse(text, filename=name))
    with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
        code = shell.compile(tree, name, "exec")
    _offer(shell.user_ns, tree)
    if code.co_flags & inspect.CO_COROUTINE:
        _wait(shell, eval(code, shell.user_ns))
    else:
        exec(code, shell.user_ns)


def _wait(shell: Any, python: CoroutineType[Any, Any, Any]) -> None:
    """Run a cell that awaits something on the loop of the kernel, or of the shell."""
    __tracebackhide__ = True
    trace: TracebackType | None
    try:
        if asyncio._get_running_loop() is None:
            shell.loop_runner(python)
        else:
            nested_loop.allow()
            asyncio.get_running_loop().run_until_complete(python)
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code is not python.cr_code:  # frames of the loop itself
            trace = trace.tb_next
        raise error.with_traceback(trace)  # noqa: B904  # it is the same error


def _offer(namespace: dict[str, Any], tree: ast.AST) -> None:
    """Put the built-in steps that the cell names into its namespace, where the notebook does not define them."""
    for name in _names(tree):
        if name not in namespace and not hasattr(builtins, name):
            if name == STEP:
                namespace[name] = step
            elif name in steps.catalogue():
                namespace[name] = steps.catalogue()[name]


def _transformed(shell: Any, text: str) -> str:
    """The text with IPython's own syntax (`!ls`, `%time`) made Python; leading lines are kept for the line numbers."""
    if _parsed(text) is not None:
        return text
    lines = text.split("\n")
    blank = next((number for number, line in enumerate(lines) if line.strip()), 0)
    return "\n" * blank + str(shell.transform_cell("\n".join(lines[blank:])))


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def cell_number(shell: Any) -> int:
    """The number of the cell that runs, from the code that called the magic: IPython's count depends on its version."""
    names: dict[str, int] = shell.compile._filename_map
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename in names:
            return names[frame.f_code.co_filename]
    return int(shell.execution_count)


@contextmanager
def _undone_on_failure(namespace: dict[str, Any]) -> Iterator[None]:
    __tracebackhide__ = True
    before = dict(namespace)
    try:
        yield
    except BaseException:
        for name in [name for name in namespace if name not in before]:
            del namespace[name]
        namespace.update(before)
        raise
