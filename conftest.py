"""Import the package before pytest collects: its importlib mode would load a first module of ours a second time."""

import nbgraph

__all__ = ["nbgraph"]
