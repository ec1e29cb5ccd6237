"""Looking inside a run: frames, traces, breakpoints, the debugger."""

from nbgraph.debug.branch import Branch
from nbgraph.debug.breakpoint import Breakpoint
from nbgraph.debug.debugger import Debugger
from nbgraph.debug.failure import Failure
from nbgraph.debug.frame import MISSING, Frame
from nbgraph.debug.trace import Trace
from nbgraph.look import Preview

__all__ = ["MISSING", "Branch", "Breakpoint", "Debugger", "Failure", "Frame", "Preview", "Trace"]
