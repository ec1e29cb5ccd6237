"""Names: which global names a piece of Python text needs, and when."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

COMPREHENSIONS = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr"})


@dataclass(frozen=True, slots=True)
class GlobalNames:
    """`now`: needed while the text runs (decorators, bases, defaults). `later`: needed when what it defines is called.

    `perhaps`: named in string annotations, which Python itself never looks up.
    """

    now: tuple[str, ...]
    later: tuple[str, ...]
    perhaps: tuple[str, ...]


def names_in(text: str, *, is_future: bool = False) -> GlobalNames:
    """The global names that the text uses and does not bind itself.

    `is_future`: annotations are not evaluated, as under `from __future__ import annotations`.

    >>> names_in("@cache\\ndef f(x, k=K):\\n    return [g(y) for y in x] + h(k)")
    GlobalNames(now=('K', 'cache'), later=('g', 'h'), perhaps=())
    """
    future = "from __future__ import annotations\n" if is_future else ""
    table = symtable.symtable(future + text, "<captured>", "exec")
    now: set[str] = set()
    later: set[str] = set()
    bound = set()
    for symbol in table.get_symbols():
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
            bound.add(symbol.get_name())
        elif symbol.is_referenced():
            now.add(symbol.get_name())
    for child in table.get_children():
        _collect(child, now if _runs_now(child) else later, later)
    later -= now
    tree = ast.parse(text)
    perhaps = set(_in_annotations(tree, is_future)) - now - later
    bound.discard("annotations")
    return GlobalNames(*(tuple(sorted(found - bound)) for found in (now, later, perhaps)))


def _runs_now(table: symtable.SymbolTable) -> bool:
    return table.get_type() == "class" or table.get_name() in COMPREHENSIONS


def _collect(table: symtable.SymbolTable, here: set[str], later: set[str]) -> None:
    for symbol in table.get_symbols():
        if symbol.is_global() and (symbol.is_referenced() or symbol.is_declared_global()):
            here.add(symbol.get_name())
    for child in table.get_children():
        _collect(child, here if _runs_now(child) else later, later)


def _in_annotations(tree: ast.AST, is_future: bool) -> Iterator[str]:
    """Names in annotations that are texts, or that Python leaves as texts."""
    for node in ast.walk(tree):
        annotation = getattr(node, "returns", None) or getattr(node, "annotation", None)
        for part in ast.walk(annotation) if isinstance(annotation, ast.AST) else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield from names_of_expression(part.value)
            elif is_future and isinstance(part, ast.Name):
                yield part.id


def names_of_expression(text: str) -> list[str]:
    """The names an expression reads, as far as it is one.

    >>> names_of_expression("a.b + max(c)")
    ['a', 'c', 'max']
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return []
    return sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})
