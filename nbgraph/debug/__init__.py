"""Frames, traces, breakpoints, the debugger."""

from nbgraph.debug.breakpoint import Breakpoint
from nbgraph.debug.debugger import Debugger, Fork
from nbgraph.debug.frame import MISSING, Frame
from nbgraph.debug.trace import Trace
from nbgraph.failure import Failure
from nbgraph.introspection import Preview

__all__ = ["MISSING", "Breakpoint", "Debugger", "Failure", "Fork", "Frame", "Preview", "Trace"]
