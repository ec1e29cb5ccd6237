"""A function's part in a graph of several: it consumes queues and answers waiting callers."""
