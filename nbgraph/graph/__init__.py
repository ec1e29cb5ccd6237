"""What the user means: plain data, no loop, no socket, no colour."""

from nbgraph.graph.edge import Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.scope import Code
from nbgraph.graph.step import Step, StepOptions, step
from nbgraph.graph.step_ref import StepRef

__all__ = ["Code", "Edge", "Graph", "Step", "StepOptions", "StepRef", "step"]
