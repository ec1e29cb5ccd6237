"""Routes: where callers' requests enter a graph, by method and path."""
