"""What runs inside a container: the gateway, the worker, metrics. No pandas, no widgets, no docker."""
