"""`python -m nbgraph.steps` prints the catalogue page, docs/steps.md."""

from __future__ import annotations

from collections.abc import Iterator

from nbgraph.steps import catalogue
from nbgraph.steps.library import CatalogueEntry, entry_of
from nbgraph.types import Section

HEAD = """# Built-in steps

Every name below can be used in a `%%graph` cell without an import, and as `nbgraph.steps.NAME` in Python. Each has an
example in its docstring: `help(nbgraph.steps.Batch)`. Names in *italics* are no steps, but what arguments are made of.
How to add steps of your own: [extending](extending.md).

This page is written by `python -m nbgraph.steps`.
"""


def page() -> str:
    """The page as Markdown: a table for each section, the sections in their order."""
    library = catalogue()
    entries = [entry_of(name, library) for name in sorted(library.modules)]
    sections = [section for section in Section if section is not Section.INSTALLED]
    return "\n".join([HEAD, *(line for section in sections for line in _table(section, entries))])


def _table(section: Section, entries: list[CatalogueEntry]) -> Iterator[str]:
    yield f"## {section}\n\n| step | what it does |\n|---|---|"
    for entry in entries:
        if entry.section is section:
            mark = "" if entry.is_step else "*"
            yield f"| {mark}`{entry.signature}`{mark} | {entry.summary.replace('|', chr(92) + '|')} |"
    yield ""


if __name__ == "__main__":
    print(page(), end="")
