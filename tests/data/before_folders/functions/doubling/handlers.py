"""What the steps of the graph "two" call, as it stood in the notebook."""
