"""What lives in the notebook: the graph as a live picture, the debugger, the builder."""
