"""Import the package before pytest collects: its importlib mode would load a first module of ours a second time."""

import nbgraph

__all__ = ["collect_ignore", "nbgraph"]
collect_ignore = ["tests/mlrun_reference"]  # runs in MLRun's own environment: make test-mlrun
