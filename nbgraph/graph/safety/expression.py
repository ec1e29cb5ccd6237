"""Expression: the part of Python that a loaded document may use; a cell of the notebook has all of it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from nbgraph.errors import GraphError
from nbgraph.graph.safety.cost import too_big

SAFE_FUNCTIONS = frozenset([
    "abs", "all", "any", "bool", "dict", "divmod", "enumerate", "float", "frozenset", "int", "isinstance",
    "len", "list", "max", "min", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
])  # fmt: skip  # a set that reads better in rows
SAFE_METHODS = frozenset([
    "append", "capitalize", "casefold", "copy", "count", "endswith", "extend", "find", "get", "index", "insert",
    "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric",
    "isprintable", "isspace", "istitle", "isupper", "items", "join", "keys", "lower", "lstrip", "partition",
    "pop", "popitem", "remove", "removeprefix", "removesuffix", "replace", "reverse", "rfind", "rindex",
    "rpartition", "rsplit", "rstrip", "setdefault", "sort", "split", "splitlines", "startswith", "strip",
    "swapcase", "title", "translate", "update", "upper", "values",
])  # fmt: skip  # a set that reads better in rows
LONGEST = 10_000  # characters of one expression
_PLAIN = (
    ast.Expression, ast.Constant, ast.BoolOp, ast.boolop, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop,
    ast.Compare, ast.cmpop, ast.IfExp, ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Dict, ast.Set,
    ast.JoinedStr, ast.FormattedValue, ast.expr_context, ast.keyword, ast.Lambda, ast.arguments, ast.arg,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Starred,
)  # fmt: skip  # a set that reads better in rows


def check_safe(text: str, names: Collection[str], where: str, *, is_code: bool = False) -> None:
    """Refuse an expression of a document that does more than read `event` and compute with it.

    >>> check_safe("event['p'] > 0.9 and event['name'].lower() == 'x'", {"event"}, "edges[0].when")
    >>> check_safe("event.__class__", {"event"}, "edges[0].when")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: edges[0].when: 'event.__class__' uses the attribute "__class__"; ...

    `names` may be read, besides what the expression binds itself. With `is_code` (the argument of a step) any name
    may be read, since names are looked up in the notebook late, and classes may be called: `Table(customers)`.
    """
    tree = parsed(text, where)
    fault = next(_faults(list(ast.walk(tree)), set(names), is_code), None) or too_big(tree)
    if fault:
        raise GraphError(
            f"{where}: {text!r} {fault}; the expressions of a loaded graph are limited to event, literals, "
            "comparisons, arithmetic, subscripts, plain methods of str, dict and list, and a few builtins. "
            "Put the rest into a function of the notebook and use it as a step."
        )


def parsed(text: str, where: str) -> ast.Expression:
    """The tree of an expression, or an error that says what is wrong with it.

    >>> parsed("event >", "edges[0].when")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: edges[0].when: 'event >' is not an expression: invalid syntax.
    """
    if len(text) > LONGEST:
        raise GraphError(f"{where}: the expression has {len(text)} characters; at most {LONGEST} are read.")
    try:
        return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise GraphError(f"{where}: {text!r} is not an expression: {reason}.") from None


def _bound(nodes: Collection[ast.AST]) -> set[str]:
    """Names that lambdas and comprehensions of the expression bind themselves."""
    arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return arguments | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _faults(nodes: Collection[ast.AST], names: set[str], is_code: bool) -> Iterator[str]:
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    bound = _bound(nodes)
    functions = names - bound - {"event"}
    names = names | bound
    for node in nodes:
        if isinstance(node, ast.Name):
            yield from _name_faults(node, names, is_code)
        elif isinstance(node, ast.Attribute):
            yield from _attribute_faults(node, is_code, is_called=id(node) in called)
        elif isinstance(node, ast.Call):
            yield from _call_faults(node, functions, is_code)
        elif isinstance(node, ast.arg) and node.arg.startswith("_"):
            yield f'uses the name "{node.arg}", which begins with an underscore'
        elif isinstance(node, ast.comprehension) and node.is_async:
            yield "is asynchronous"
        elif not isinstance(node, _PLAIN):
            yield f"uses {_described(node)}"


def _name_faults(node: ast.Name, names: Collection[str], is_code: bool) -> Iterator[str]:
    if node.id.startswith("_"):
        yield f'uses the name "{node.id}", which begins with an underscore'
    elif not is_code and node.id not in names and node.id not in SAFE_FUNCTIONS:
        yield f'uses the name "{node.id}"'


def _attribute_faults(node: ast.Attribute, is_code: bool, *, is_called: bool) -> Iterator[str]:
    if node.attr.startswith("_") or node.attr not in SAFE_METHODS:
        yield f'uses the attribute "{node.attr}"'
    elif not is_called:
        yield f'reads the method "{node.attr}" without calling it'


def _call_faults(node: ast.Call, functions: Collection[str], is_code: bool) -> Iterator[str]:
    if any(keyword.arg is None for keyword in node.keywords):
        yield "unpacks arguments with **"
    match node.func:
        case ast.Name(id=name):
            is_class = is_code and name[:1].isupper()
            if name not in SAFE_FUNCTIONS and name not in functions and not is_class:
                yield f'calls "{name}"'
        case ast.Attribute():
            pass  # its name is looked at on its own
        case _:
            yield "calls something that has no name"


def _described(node: ast.AST) -> str:
    return {"NamedExpr": ":=", "Await": "await", "Yield": "yield"}.get(type(node).__name__, type(node).__name__)
