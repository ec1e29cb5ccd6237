"""Steps that make features of the fields of a body."""

from __future__ import annotations

from functools import partial

from nbgraph.steps.old_modules import moved

__getattr__ = partial(moved, __name__)  # this was a module once, with steps in it
