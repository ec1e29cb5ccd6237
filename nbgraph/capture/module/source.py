"""Source: the text of a live function or class, found in the cell or file that it was made from."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbgraph.capture.module.code import codes, essence
from nbgraph.capture.module.names import names_of_expression

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Written = Definition | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class SourceText:
    """A whole statement, comments above it and decorators included, or the expression of a lambda.

    `text` begins in column 0; `line` is the line of `file` that it begins on; `node` is the definition in the text
    parsed anew, so that its line numbers count from the text's first line.
    """

    text: str
    node: Written
    file: str
    line: int

    def line_of(self, name: str) -> int:
        """The line of the file where the text first uses the name."""
        places = [node.lineno for node in ast.walk(self.node) if isinstance(node, ast.Name) and node.id == name]
        return self.line + min(places, default=1) - 1

    def looked_up(self) -> set[str]:
        """Names in texts that the code looks up while it runs: `globals()["K"]`, `eval("K + 1")`."""
        called = {node.id for node in ast.walk(self.node) if isinstance(node, ast.Name)}
        if not called & {"globals", "eval", "exec", "vars"}:
            return set()
        texts = [node.value for node in ast.walk(self.node) if isinstance(node, ast.Constant)]
        return {name for text in texts if isinstance(text, str) for name in names_of_expression(text)}

    def looks_up_by_event(self) -> bool:
        """Whether it looks up names that depend on the event: `globals()[event["kind"]]`."""
        keys = [
            node.slice for node in ast.walk(self.node) if isinstance(node, ast.Subscript) and _is_globals(node.value)
        ]
        keys += [
            node.args[0]
            for node in ast.walk(self.node)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
            if node.func.attr == "get" and _is_globals(node.func.value)
        ]
        return any(not isinstance(key, ast.Constant) for key in keys)

    def guards(self, name: str) -> bool:
        """Whether the text knows that the name may be missing: it sets it, or asks first."""
        declared = {one for node in ast.walk(self.node) if isinstance(node, ast.Global) for one in node.names}
        return name in declared or "NameError" in self.text or "globals()" in self.text


def _is_globals(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "globals"


def source_of(thing: Any, namespace: Mapping[str, Any]) -> SourceText | None:
    """Where a function or class stands; None where no text of it is left.

    >>> import textwrap
    >>> source_of(textwrap.dedent, {}).text.splitlines()[0]
    'def dedent(text):'
    """
    if isinstance(thing, type):
        return _source_of_class(thing, namespace)
    if isinstance(thing, types.FunctionType):
        return _source_of_function(thing, namespace)
    return None


def _source_of_function(function: types.FunctionType, namespace: Mapping[str, Any]) -> SourceText | None:
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    tree = parsed("".join(lines))
    if not lines or tree is None:
        return _found_in_cells(code, namespace)
    if code.co_name == "<lambda>":
        return _lambda(tree, lines, code)
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and _first_line(node) == code.co_firstlineno and node.name == code.co_name:
            return _statement(lines, node, code.co_filename)
    return None


def _found_in_cells(code: types.CodeType, namespace: Mapping[str, Any]) -> SourceText | None:
    """By its name, where its cell was run by a magic that keeps no text of it (`%%time`): what makes the same code."""
    for text in reversed(written(namespace)):
        tree = parsed(text)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, FUNCTIONS) and node.name == code.co_name:
                found = _statement(text.splitlines(keepends=True), node, code.co_filename)
                if found is not None and _makes(found, code):
                    return found
    return None


def _makes(source: SourceText, code: types.CodeType) -> bool:
    try:
        made = compile(source.text, "<cell>", "exec")
    except SyntaxError:
        return False
    return any(part.co_name == code.co_name and essence(part) == essence(code) for part in codes(made))


def _source_of_class(cls: type, namespace: Mapping[str, Any]) -> SourceText | None:
    """By the place of one of its methods, since `inspect.getsource` fails for a notebook's class before Python 3.13."""
    for function in _own_functions(cls):
        code = function.__code__
        lines = linecache.getlines(code.co_filename, function.__globals__)
        tree = parsed("".join(lines))
        around = [node for node in _classes(tree, cls.__name__) if _spans(node, code.co_firstlineno)] if tree else []
        found = _statement(lines, around[-1], code.co_filename) if around else None
        if found is not None:
            return found
    return _newest_class(cls, namespace)


def _own_functions(cls: type) -> Iterator[types.FunctionType]:
    for value in vars(cls).values():
        value = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, types.FunctionType) and value.__code__.co_qualname.startswith(f"{cls.__qualname__}."):
            yield value


def _newest_class(cls: type, namespace: Mapping[str, Any]) -> SourceText | None:
    """A class without methods leaves no trace of its place: the latest cell, or the file, that defines the name."""
    for text in [*reversed(written(namespace)), _file_text(cls)]:
        tree = parsed(text)
        found = _classes(tree, cls.__name__) if tree is not None else []
        if found:
            return _statement(text.splitlines(keepends=True), found[-1], "<cell>")
    return None


def _file_text(cls: type) -> str:
    try:
        return "".join(linecache.getlines(inspect.getfile(cls)))
    except (TypeError, OSError):
        return ""


def written(namespace: Mapping[str, Any]) -> list[str]:
    """Everything the user has run in this namespace: the cells in their order, or the module's file."""
    cells = namespace.get("In")
    if isinstance(cells, list):
        return [_without_magic(cell) for cell in cells if isinstance(cell, str)]
    file = namespace.get("__file__")
    return ["".join(linecache.getlines(file))] if isinstance(file, str) else []


def _without_magic(cell: str) -> str:
    """The Python within a cell under a magic, which IPython keeps as a call of the magic.

    >>> _without_magic("get_ipython().run_cell_magic('time', '', 'x = 1')")
    'x = 1'
    """
    if not cell.startswith("get_ipython().run_cell_magic("):
        return cell
    call = ast.parse(cell).body[0]
    inside = call.value.args[-1] if isinstance(call, ast.Expr) and isinstance(call.value, ast.Call) else None
    return _without_magic(str(inside.value)) if isinstance(inside, ast.Constant) else cell


@functools.lru_cache(maxsize=256)
def parsed(text: str) -> ast.Module | None:
    """The tree of a cell; lines that are no Python, such as the arrows of a %%graph cell, are passed over.

    >>> [type(node).__name__ for node in parsed("x = 1\\na -> b\\ny = 2").body]
    ['Assign', 'Assign']
    """
    lines = text.splitlines(keepends=True)
    for _ in range(len(lines) + 1):
        try:
            return ast.parse("".join(lines))
        except SyntaxError as error:
            number = (error.lineno or 0) - 1
            if not 0 <= number < len(lines) or not lines[number].strip():
                return None
            lines[number] = "\n"
        except ValueError:  # a NUL character
            return None
    return None


def _classes(tree: ast.Module, name: str) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name]


def _spans(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _first_line(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _statement(lines: Sequence[str], node: Definition, file: str) -> SourceText | None:
    first, last = _first_line(node), node.end_lineno or node.lineno
    while first > 1 and re.match(rf"\s{{{node.col_offset}}}#", lines[first - 2]):
        first -= 1
    inside = _inside_strings(node)
    margin = lines[node.lineno - 1][: node.col_offset]
    kept = [
        line if number in inside or not line.strip() else _dedented(line, margin)
        for number, line in enumerate(lines[first - 1 : last], first)
    ]
    return _reparsed("".join(kept), file, first)


def _dedented(line: str, margin: str) -> str:
    """The line without the margin; a remark, or a line in brackets, may begin before it."""
    return line.removeprefix(margin) if line.startswith(margin) else line.lstrip(" \t")


def _inside_strings(node: ast.AST) -> set[int]:
    """Lines that begin within a string: their leading blanks belong to the value."""
    return {
        line
        for part in ast.walk(node)
        if isinstance(part, ast.Constant | ast.JoinedStr) and part.end_lineno is not None
        for line in range(part.lineno + 1, part.end_lineno + 1)
    }


def indented(text: str) -> str:
    """The statement one level deeper, its strings untouched.

    >>> indented('def f():\\n    return 1')
    '    def f():\\n        return 1'
    """
    inside = _inside_strings(ast.parse(text))
    lines = text.splitlines(keepends=True)
    return "".join(
        line if number in inside or not line.strip() else f"    {line}" for number, line in enumerate(lines, 1)
    )


def _reparsed(text: str, file: str, line: int) -> SourceText | None:
    definition = ast.parse(text).body[0]
    return SourceText(text.rstrip("\n"), definition, file, line) if isinstance(definition, Definition) else None


def _lambda(tree: ast.Module, lines: Sequence[str], code: types.CodeType) -> SourceText | None:
    """The lambda whose body holds all instructions: the innermost one, where several stand on a line."""
    places = [
        (line, end_line, column, end_column)
        for line, end_line, column, end_column in code.co_positions()
        if line and end_line and column is not None and end_column is not None
        if (line, column) != (end_line, end_column)  # an empty span is the interpreter's own bookkeeping
    ]
    fitting = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda)
        and node.lineno == code.co_firstlineno
        and tuple(_parameters(node.args)) == code.co_varnames[: len(_parameters(node.args))]
        and all(_holds(node.body, *place) for place in places)
    ]
    if not fitting or (len(fitting) > 1 and not places):
        return None
    node = min(fitting, key=lambda found: len(ast.unparse(found)))
    text = ast.get_source_segment("".join(lines), node) or ast.unparse(node)
    text = f"({text})" if "\n" in text else text  # it may span lines inside the brackets of a call
    again = ast.parse(text, mode="eval").body
    return SourceText(text, again, code.co_filename, node.lineno) if isinstance(again, ast.Lambda) else None


def _parameters(arguments: ast.arguments) -> list[str]:
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.arg for argument in given]


def _holds(body: ast.expr, line: int, end_line: int, column: int, end_column: int) -> bool:
    begins = (body.lineno, body.col_offset) <= (line, column)
    return begins and (end_line, end_column) <= (body.end_lineno or 0, body.end_col_offset or 0)
