"""Progress: what a deployment is doing, as one living line, and at the end what each part took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]


def quiet(text: str) -> None:
    """Tells nobody."""


@contextmanager
def told(is_shown: bool | Say) -> Iterator[Say]:
    """A function to tell the next step to; the line is gone when the block is left.

    >>> with told(False) as say:
    ...     say("Building the image")
    """
    if callable(is_shown):  # whoever asked shows it, as a widget does
        yield is_shown
        return
    if not is_shown:
        yield lambda text: None
        return
    from rich.console import Console

    console = Console()
    began = time.monotonic()
    if not (console.is_terminal or console.is_jupyter):  # a log: a line for every step
        yield lambda text: print(f"{time.monotonic() - began:5.1f} s  {text}", flush=True)
        return
    with console.status("") as status:
        yield lambda text: status.update(f"{time.monotonic() - began:.1f} s  {text}")
