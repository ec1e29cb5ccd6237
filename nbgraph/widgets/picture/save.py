"""The picture as a file that the browser downloads: SVG, PNG, an HTML page, DOT."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from nbgraph.graph.graph import Graph
from nbgraph.render.dot import digraph
from nbgraph.render.printable import printable
from nbgraph.render.svg import png, svg
from nbgraph.render.text import outline

TYPES = {"svg": "image/svg+xml", "png": "image/png", "html": "text/html", "dot": "text/vnd.graphviz"}


def saved(graph: Graph, form: str, status: Mapping[str, str], direction: str) -> dict[str, Any]:
    """Name, type and content of the file.

    >>> saved(Graph("my graph"), "dot", {}, "LR")["name"]
    'my_graph.dot'
    """
    name = re.sub(r"\W+", "_", printable(graph.name, 60)).strip("_") or "graph"
    data = base64.b64encode(_content(graph, form, status, direction)).decode()
    return {"name": f"{name}.{form}", "type": TYPES[form], "data": data}


def _content(graph: Graph, form: str, status: Mapping[str, str], direction: str) -> bytes:
    if form == "png":
        return png(graph, status=status, direction=direction)
    if form == "dot":
        return str(digraph(graph, direction=direction).source).encode()
    picture = svg(graph, status=status, direction=direction)
    return (picture if form == "svg" else _page(graph, picture, status)).encode()


def _page(graph: Graph, picture: str, status: Mapping[str, str]) -> str:
    title, words = escape(printable(graph.name, 200)), escape(outline(graph, status=status))
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{margin:2em;font:14px/1.5 sans-serif;color-scheme:light dark}"
        "svg{max-width:100%;height:auto}</style>\n"
        f"<h1>{title}</h1>\n{picture}\n<details><summary>In words</summary><pre>{words}</pre></details></html>\n"
    )
