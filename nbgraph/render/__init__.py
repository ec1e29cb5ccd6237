"""How a graph looks: a plain view of it, then DOT, SVG, PNG and text made from the view."""

from nbgraph.render.dot import digraph
from nbgraph.render.svg import mimebundle, png, svg
from nbgraph.render.text import outline
from nbgraph.render.view import View, ViewLine, ViewNode, view

__all__ = ["View", "ViewLine", "ViewNode", "digraph", "mimebundle", "outline", "png", "svg", "view"]
