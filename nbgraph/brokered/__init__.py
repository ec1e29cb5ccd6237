"""A graph's queues over a real broker, in this kernel: `graph.run(body, streams="nats")`."""
