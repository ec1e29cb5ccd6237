"""Documents: a graph as plain data, YAML, a file, a `%%graph` cell, and back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from nbgraph.graph.facade import library
from nbgraph.graph.scope import Scope
from nbgraph.introspection import lists_keywords

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph
    from nbgraph.graph.mlrun.report import Report


class LoadOptions(TypedDict, total=False):
    """What a document may reach when it is loaded.

    Parameters
    ----------
    namespace
        Where names are looked up; None: the caller's own.
    allow
        Modules whose dotted names may be used.
    io
        Whether steps that read or write outside of the graph are allowed.
    """

    namespace: Mapping[str, Any] | None
    allow: Sequence[str]
    io: bool


class Documents:
    """Writing and reading a graph."""

    def _spec_document(self: Graph) -> dict[str, Any]:
        from nbgraph.graph.documents.document import spec_document

        return spec_document(self)

    def to_dict(self: Graph) -> dict[str, Any]:
        """The graph as plain data that JSON can hold."""
        from nbgraph.graph.documents.document import to_dict

        return to_dict(self)

    def to_yaml(self: Graph) -> str:
        """The graph as YAML text."""
        from nbgraph.graph.documents.document import to_yaml

        return to_yaml(self)

    def save(self: Graph, path: str | Path) -> Path:
        """Write the graph to a `.yaml`, `.yml` or `.json` file.

        Parameters
        ----------
        path
            Path that ends in .yaml, .yml or .json.
        """
        from nbgraph.graph.documents.document import save

        return save(self, Path(path))

    def source(self: Graph) -> str:
        """The graph in the language of the `%%graph` cell."""
        from nbgraph.graph.language.language import source

        return source(self)

    @classmethod
    @lists_keywords(LoadOptions, allow=(), io=True)
    def from_dict(
        cls,
        document: Mapping[str, Any],
        **options: Unpack[LoadOptions],
    ) -> Graph:
        """The graph of a document that `to_dict` wrote; `io=False` refuses steps that work with what is outside.

        Parameters
        ----------
        document
            What `to_dict` gave.
        """
        from nbgraph.graph.documents.document import from_dict

        return from_dict(document, _scope(**options))

    @classmethod
    @lists_keywords(LoadOptions, allow=(), io=True)
    def from_yaml(cls, text: str, **options: Unpack[LoadOptions]) -> Graph:
        """The graph of a text that `to_yaml` wrote.

        Parameters
        ----------
        text
            What `to_yaml` gave.
        """
        from nbgraph.graph.documents.document import from_yaml

        return from_yaml(text, _scope(**options))

    @classmethod
    @lists_keywords(LoadOptions, allow=(), io=True)
    def load(cls, path: str | Path, **options: Unpack[LoadOptions]) -> Graph:
        """The graph of a file that `save` wrote.

        Parameters
        ----------
        path
            Path of the file.
        """
        from nbgraph.graph.documents.document import load

        return load(Path(path), _scope(**options))

    @classmethod
    @lists_keywords(LoadOptions, allow=(), io=True)
    def parse(cls, text: str, **options: Unpack[LoadOptions]) -> Graph:
        """The graph of a text in the language of the `%%graph` cell, the `%%graph NAME` line included.

        Parameters
        ----------
        text
            Text of the cell.
        """
        from nbgraph.graph.language.language import parse

        return parse(text, _scope(**options))

    @overload
    @classmethod
    def from_mlrun(
        cls,
        spec: Mapping[str, Any] | str,
        *,
        tables: Mapping[str, Any] | None = None,
        report: Literal[False] = False,
        **options: Unpack[LoadOptions],
    ) -> Graph: ...

    @overload
    @classmethod
    def from_mlrun(
        cls,
        spec: Mapping[str, Any] | str,
        *,
        tables: Mapping[str, Any] | None = None,
        report: Literal[True],
        **options: Unpack[LoadOptions],
    ) -> tuple[Graph | None, Report]: ...

    @classmethod
    @lists_keywords(LoadOptions, allow=(), io=True)
    def from_mlrun(
        cls,
        spec: Mapping[str, Any] | str,
        *,
        tables: Mapping[str, Any] | None = None,
        report: bool = False,
        **options: Unpack[LoadOptions],
    ) -> Graph | tuple[Graph | None, Report]:
        """The graph of an MLRun serving spec (a dict or YAML), or an error that tells all that has no counterpart.

        Parameters
        ----------
        spec
            What `fn.spec.graph.to_dict()` or `.to_yaml()` gave.
        tables
            The tables that the spec names: `{"store://customers": Table(...)}`; those of the namespace are found too.
        report
            Give (graph, report), which tells what each step became and what differs; the graph is None where some of
            the spec can't be translated, and the report says what.
        """
        from nbgraph.graph.mlrun.spec import from_mlrun

        graph, told = from_mlrun(spec, _scope(**options), tables or {})
        if report:
            return graph, told
        told.refuse()
        assert graph is not None
        return graph


def _scope(namespace: Mapping[str, Any] | None = None, allow: Sequence[str] = (), io: bool = True) -> Scope:
    """Where a loaded graph finds its names: the namespace given, else that of the caller of the classmethod."""
    names = sys._getframe(2).f_globals if namespace is None else namespace
    is_given = namespace is not None
    return Scope(names, tuple(allow), is_document=True, is_given=is_given, io=io, library=library())
