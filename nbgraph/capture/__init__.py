"""What a notebook's objects need to live elsewhere: their text, their values, their requirements."""

from nbgraph.capture.project import Project, capture

__all__ = ["Project", "capture"]
