"""Settings: what a library keeps for the whole process, and a notebook has changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

CONTEXT = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def settings(modules: set[str]) -> Iterator[str]:
    """Statements that set it again, for the modules that are imported.

    >>> import decimal
    >>> with decimal.localcontext(decimal.Context(prec=5)):
    ...     list(settings({"decimal"}))
    ['decimal.DefaultContext.prec = 5', 'decimal.setcontext(decimal.DefaultContext)']
    """
    decimal = sys.modules.get("decimal")
    if decimal is None or "decimal" not in modules:
        return
    here, usual = decimal.getcontext(), decimal.DefaultContext
    changed = [name for name in CONTEXT if getattr(here, name) != getattr(usual, name)]
    yield from (f"decimal.DefaultContext.{name} = {getattr(here, name)!r}" for name in changed)
    if changed:
        yield "decimal.setcontext(decimal.DefaultContext)"
