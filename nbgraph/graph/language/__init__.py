"""The language of the `%%graph` cell: its text becomes a graph, and a graph that text."""
