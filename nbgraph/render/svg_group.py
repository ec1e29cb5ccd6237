"""Group: one drawn part of an SVG (a step, an arrow, a frame) made ready: titled, centred, marked with its state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from nbgraph.render.view import View

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


def finished(drawn: str, shown: View, states: Mapping[str, str], prefix: str) -> str:
    """The SVG with every group made ready; `states` are the states of steps by the id of their node."""
    titles = {node.id: node.title for node in shown.all_nodes()}
    titles |= {line.id: line.title for line in shown.all_lines()}
    # How many of its texts, 0 for all: a router's routes are a list and stay at the left.
    centred = {
        node.id: 1 + bool(node.sublabel) + node.is_responder if node.routes else 0
        for node in shown.all_nodes()
        if node.inner is None
    }

    def ready(match: re.Match[str]) -> str:
        id, kind, classes, shapes = match.groups()
        state = states.get(id, "idle")
        if id in centred:
            shapes = _centred(shapes, centred[id])
        if state in MARKS:
            shapes += _mark(shapes, state)
        head = f'<g id="{prefix}-{id}" class="{kind}{classes}"{_data(id, kind, classes, state)}>'
        return f"{head}\n<title>{escape(titles.get(id, ''))}</title>\n{shapes}</g>"

    return _GROUP.sub(ready, drawn)


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
