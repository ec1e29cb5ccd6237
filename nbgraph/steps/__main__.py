"""`python -m nbgraph.steps` prints the catalogue page, docs/steps.md."""

from __future__ import annotations

from collections.abc import Iterator

from nbgraph.steps import catalogue
from nbgraph.steps.library import INSTALLED, CatalogueEntry, entry_of

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
    titles = sorted({entry.section for entry in entries} - {INSTALLED}, key=_rank)
    return "\n".join([HEAD, *(line for title in titles for line in _section(title, entries))])


def _section(title: str, entries: list[CatalogueEntry]) -> Iterator[str]:
    yield f"## {title}\n\n| step | what it does |\n|---|---|"
    for entry in entries:
        if entry.section == title:
            mark = "" if entry.is_step else "*"
            yield f"| {mark}`{entry.signature}`{mark} | {entry.summary.replace('|', chr(92) + '|')} |"
    yield ""


def _rank(title: str) -> int:
    order = [
        "Operators",
        "Windows",
        "Features",
        "Tables",
        "Sources",
        "Targets",
        "Queues",
        "Remote",
        "Models",
        "Routers",
    ]
    return order.index(title)


if __name__ == "__main__":
    print(page(), end="")
