"""The picture of a graph in a cell."""
