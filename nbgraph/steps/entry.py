"""Entry: what the catalogue says of a step: its section, signature, and first sentence."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from nbgraph.handler import Handler
from nbgraph.steps.library import Library

# The section of a module is that of the longest beginning of its name.
SECTIONS = {
    "": "Operators",
    "source": "Sources",
    "target": "Targets",
    "queue": "Queues",
    "border": "Queues",
    "table": "Tables",
    "join": "Tables",
    "windows": "Windows",
    "features": "Features",
    "remote": "Remote",
    "request": "Remote",
    "endpoint": "Remote",
    "model": "Models",
    "router": "Routers",
    "ensemble": "Routers",
    "parallel": "Routers",
    "runner": "Routers",
    "enrichment": "Routers",
}
INJECTED = ("context", "name")  # what the engine gives a constructor by itself
INSTALLED = "Installed packages"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of the catalogue; `is_step` is False for what steps' arguments are made of, a Table say."""

    name: str
    section: str
    signature: str
    summary: str
    is_step: bool


def entry_of(name: str, library: Library) -> Entry:
    """The entry of a name.

    >>> from nbgraph import steps
    >>> entry = entry_of("Batch", steps.catalogue())
    >>> entry.section, entry.signature
    ('Operators', 'Batch(max_events=None, flush_after_seconds=None, key=None)')
    """
    found = library[name]
    text = inspect.getdoc(found) or ""
    is_step = not inspect.isclass(found) or issubclass(found, Handler) or callable(getattr(found, "do", None))
    summary = " ".join(text.partition("\n\n")[0].split())
    return Entry(name, section_of(library.modules.get(name)), name + signature_of(found), summary, is_step)


def section_of(module: str | None) -> str:
    """The section of a built-in module; None for what an installed package offers.

    >>> section_of("source_csv"), section_of("batch"), section_of(None)
    ('Sources', 'Operators', 'Installed packages')
    """
    if module is None:
        return INSTALLED
    return SECTIONS[max((start for start in SECTIONS if module.startswith(start)), key=len)]


def signature_of(found: Any) -> str:
    """The arguments with their defaults, as one would write them."""
    if inspect.isclass(found) and found.__init__ is object.__init__:
        return "()"
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return "(...)"
    plain = [
        parameter.replace(annotation=parameter.empty)
        for parameter in parameters
        if not (parameter.name in INJECTED and parameter.kind is parameter.KEYWORD_ONLY)
    ]
    return str(inspect.Signature(plain)).replace("(*)", "()").replace(", *)", ")")
