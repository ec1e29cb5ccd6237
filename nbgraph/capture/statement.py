"""Statement: the text of a function or class as it can stand in a module, with what it keeps of its place."""

from __future__ import annotations

from collections.abc import Mapping

from nbgraph.capture.names import Names, names_in
from nbgraph.capture.source import Source, indented


def plain(name: str, own: str | None, text: str) -> str:
    """The text itself; a lambda is given its name."""
    return f"{name} = {text}" if own is None else text


def factory(name: str, maker: str, own: str | None, text: str, enclosed: Mapping[str, str]) -> str:
    """A function's enclosed values as the arguments of a function around it.

    >>> print(factory("rated", "make_rated", None, "lambda x: x * rate", {"rate": "2"}))
    def make_rated(rate):
        return lambda x: x * rate
    <BLANKLINE>
    <BLANKLINE>
    rated = make_rated(rate=2)
    """
    arguments = ", ".join(f"{variable}={given}" for variable, given in enclosed.items())
    return f"{_definition(maker, own, text, enclosed)}\n\n\n{name} = {maker}({arguments})"


def _definition(maker: str, own: str | None, text: str, enclosed: Mapping[str, str]) -> str:
    inner = indented(text) + f"\n    return {own}" if own is not None else f"    return {text}"
    return f"def {maker}({', '.join(enclosed)}):\n{inner}"


def needs(name: str, own: str | None, source: Source, enclosed: Mapping[str, str], *, is_future: bool) -> Names:
    """The names that the statement needs; `is_future` where annotations are not evaluated."""
    if enclosed:
        return names_in(_definition(name, own, source.text, enclosed), is_future=is_future)
    return names_in(plain(name, own, source.text), is_future=is_future)
