"""SVG and PNG: the picture itself, light and dark; each step has a class, an id, a title and its status."""

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
from nbgraph.render.text import outline
from nbgraph.render.view import View, view

PIXELS_UP_TO = 150  # steps; a PNG of more would be megabytes in the notebook, and the SVG is there
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_GROUP = re.compile(
    r'<g id="(?P<id>\w+)" class="(?P<kind>node|edge|cluster)(?P<classes>[^"]*)">\n'
    r"<title>[^<]*</title>\n(?P<shapes>.*?)</g>",
    re.DOTALL,
)
_BORDER = re.compile(r'\b(?:d|points)="([^"]+)"')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TEXT = re.compile(r'text-anchor="start" x="[^"]*"')
# Marks are drawn, not typed: no font is asked for a tick. Each lies in a circle of radius 7 round 0,0.
MARKS = {
    "running": "M-2,-3.5 3.5,0 -2,3.5z",
    "waiting": "M0,-4V0.5L3,2",
    "done": "M-3.5,0 -1,3 3.5,-2.5",
    "failed": "M-2.7,-2.7 2.7,2.7M2.7,-2.7 -2.7,2.7",
    "paused": "M-1.8,-3.2V3.2M1.8,-3.2V3.2",
    "pinned": "M-2.5,-3.5H2.5M-1.5,-3.5V0.5M1.5,-3.5V0.5M-3,0.5H3M0,0.5V4",
    "changed": "M0,-4V1M0,3.6V3.7",
}


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
    return _with_style(_with_groups(body, shown, _by_id(shown, status), prefix), shown, prefix)


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
    """What a notebook stores of a graph: a picture for every reader, and an outline in words.

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


def _with_style(body: str, shown: View, prefix: str) -> str:
    """The picture with its style, its name for screen readers and a page behind it."""
    steps = sum(1 for node in shown.nodes if node.kind != ANY)
    name = escape(f"Graph {shown.name}, {steps} steps", quote=True)
    head, _, rest = body.partition(">")
    head = head.replace("<svg", f'<svg class="nbgraph" role="img" aria-label="{name}" id="{prefix}"', 1)
    paper = f'<rect class="nbg-page" width="100%" height="100%" rx="8" fill="{light("page")}"/>'
    rest = rest.replace('<g id="graph0" class="graph picture"', f'{paper}\n<g class="nbg-picture"', 1)
    return f"{head}>\n<style>{style_sheet()}</style>{rest}"


def _with_groups(drawn: str, shown: View, states: Mapping[str, str], prefix: str) -> str:
    """The SVG whose groups (steps, arrows, frames) have title, class and mark; `states` are those of nodes by id."""
    titles = {node.id: node.title for node in shown.all_nodes()}
    titles |= {line.id: line.title for line in shown.all_lines()}
    # How many texts of a node are centred, 0 for all: a router's routes are a list and stay at the left.
    centred = {
        node.id: 1 + bool(node.sublabel) + node.is_responder if node.routes else 0
        for node in shown.all_nodes()
        if node.inner is None
    }

    def group(match: re.Match[str]) -> str:
        id, kind, classes, shapes = match.groups()
        state = states.get(id, "idle")
        if id in centred:
            shapes = _centred(shapes, centred[id])
        if state in MARKS:
            shapes += _mark(shapes, state)
        head = f'<g id="{prefix}-{id}" class="{kind}{classes}"{_data(id, kind, classes, state)}>'
        return f"{head}\n<title>{escape(titles.get(id, ''))}</title>\n{shapes}</g>"

    return _GROUP.sub(group, drawn)


def _data(id: str, kind: str, classes: str, state: str) -> str:
    if kind == "edge":
        return f' data-line="{id}"'
    if kind == "cluster" and " function" in classes:
        return f' data-function="{id}"'
    is_step = (kind == "node" or " graph" in classes) and " any" not in classes
    return f' data-step="{id}" data-status="{state}"' if is_step else ""


def _centred(shapes: str, count: int) -> str:
    """Texts round the middle of the node, so that a reader's wider font leaves it on both sides alike."""
    xs = _points(shapes)[0::2]
    return _TEXT.sub(f'text-anchor="middle" x="{(min(xs) + max(xs)) / 2:g}"', shapes, count=count)


def _mark(shapes: str, state: str) -> str:
    numbers = _points(shapes)
    x, y = max(numbers[0::2]), min(numbers[1::2])
    return (
        f'<g class="nbg-mark" transform="translate({x:g},{y:g})"><circle r="7" fill="currentColor"/>'
        f'<path d="{MARKS[state]}" fill="none" stroke="#fff" stroke-width="1.7" stroke-linecap="round"/></g>\n'
    )


def _points(shapes: str) -> list[float]:
    """The numbers x, y, x, y… of the border: the first shape that is drawn."""
    border = _BORDER.search(shapes)
    return [float(number) for number in _NUMBER.findall(border.group(1))] if border else [0, 0]
