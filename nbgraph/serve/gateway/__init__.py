"""What callers reach: HTTP in front of a graph."""
