"""SVG and PNG: the picture itself, light and dark, with a class, an id and a status for each step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from typing import Any

from nbgraph.graph.graph import Graph
from nbgraph.render.colors import light, style_sheet
from nbgraph.render.dot import drawing
from nbgraph.render.layout import laid_out
from nbgraph.render.step_kind import ANY
from nbgraph.render.svg_group import finished
from nbgraph.render.text import outline
from nbgraph.render.view import View, view

PIXELS_UP_TO = 150  # steps; a PNG of more would be megabytes in the notebook, and the SVG is there
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def svg(
    graph: Graph, *, status: Mapping[str, str] | None = None, prefix: str | None = None, direction: str = "LR"
) -> str:
    """The picture of a graph as SVG text; `status` marks steps by name as done, failed, running…

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip)
    >>> svg(graph).startswith("<svg ")
    True
    """
    return picture(view(graph), status=status, prefix=prefix, direction=direction)


def picture(
    shown: View, *, status: Mapping[str, str] | None = None, prefix: str | None = None, direction: str = "LR"
) -> str:
    """The SVG of a view. Ids begin with `prefix`, else with a hash of the picture."""
    dot = drawing(shown, direction=direction).source
    drawn = laid_out(dot, "svg").decode()
    prefix = prefix or f"g{sha256(dot.encode('utf-8', 'replace')).hexdigest()[:8]}"
    body = _COMMENT.sub("", drawn[drawn.index("<svg") :])
    return _dressed(finished(body, shown, _by_id(shown, status), prefix), shown, prefix)


def png(graph: Graph, *, status: Mapping[str, str] | None = None, direction: str = "LR") -> bytes:
    """The picture of a graph as a PNG file's bytes, in the light colours.

    >>> png(Graph("empty"))[1:4]
    b'PNG'
    """
    shown = view(graph)
    dot = drawing(shown, direction=direction, status=_by_id(shown, status))
    dot.graph_attr.update(bgcolor=light("page"), dpi=_dpi(len(shown.nodes)))
    return laid_out(dot.source, "png")


def mimebundle(graph: Graph, *, status: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a notebook keeps of a graph: a picture for every reader, and an outline in words.

    >>> sorted(mimebundle(Graph("empty")))
    ['image/png', 'image/svg+xml', 'text/plain']
    """
    bundle: dict[str, Any] = {"image/svg+xml": svg(graph, status=status)}
    if len(graph.steps) <= PIXELS_UP_TO:
        bundle["image/png"] = png(graph, status=status)
    return {**bundle, "text/plain": outline(graph, status=status)}


def _dpi(nodes: int) -> str:
    """Sharp for a graph of usual size, coarser for a large one: a PNG costs by the pixel."""
    return "144" if nodes <= 24 else "96" if nodes <= 60 else "60"


def _by_id(shown: View, status: Mapping[str, str] | None) -> dict[str, str]:
    ids = shown.paths()
    return {ids[name]: state for name, state in (status or {}).items() if name in ids}


def _dressed(body: str, shown: View, prefix: str) -> str:
    """The picture with its style, its name for screen readers and a page behind it."""
    steps = sum(1 for node in shown.nodes if node.kind != ANY)
    name = escape(f"Graph {shown.name}, {steps} steps", quote=True)
    head, _, rest = body.partition(">")
    head = head.replace("<svg", f'<svg class="nbgraph" role="img" aria-label="{name}" id="{prefix}"', 1)
    paper = f'<rect class="nbg-page" width="100%" height="100%" rx="8" fill="{light("page")}"/>'
    rest = rest.replace('<g id="graph0" class="graph picture"', f'{paper}\n<g class="nbg-picture"', 1)
    return f"{head}>\n<style>{style_sheet()}</style>{rest}"
