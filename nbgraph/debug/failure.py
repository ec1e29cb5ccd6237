"""Failure: as the debugger's users know it; the word itself is everybody's."""

from nbgraph.failure import Failure

__all__ = ["Failure"]
