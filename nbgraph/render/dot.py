"""DOT: the view of a graph in the language of graphviz. Names are only ever text: ids are generated, no URLs are."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from nbgraph.graph.graph import Graph
from nbgraph.render import step_kind as kinds
from nbgraph.render.colors import STATUS, light
from nbgraph.render.view import View, ViewLine, ViewNode, view

if TYPE_CHECKING:
    import graphviz

FONT = "Arial"  # a name that the engine has widths for; the style sheet names its relatives
SHAPES = {kinds.QUEUE: "cds", kinds.SOURCE: "cylinder", kinds.TARGET: "cylinder"}
PAGE = {
    "bgcolor": "transparent",
    "pad": "0.25",
    "nodesep": "0.35",
    "ranksep": "0.55",
    "compound": "true",
    "fontname": FONT,
    "fontsize": "11",
    "class": "picture",
}
BOX = {
    "shape": "box",
    "style": "rounded,filled",
    "fontname": FONT,
    "fontsize": "13",
    "penwidth": "1.2",
    "margin": "0.2,0.12",
    "height": "0.5",
}
ARROW = {"fontname": FONT, "fontsize": "10", "penwidth": "1.2", "arrowsize": "0.7"}
PORTS = {"LR": ("w", "e"), "TB": ("n", "s")}  # where arrows enter and leave
# The colours of a kind, where they are not named after it.
FAMILY = {
    kinds.SOURCE: "store",
    kinds.TARGET: "store",
    kinds.GRAPH: "group",
    kinds.ANY: "error",
    kinds.FOLD: "group",
}


def digraph(graph: Graph, *, direction: str = "LR") -> graphviz.Digraph:
    """The picture of a graph as a graphviz object.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> "n0 -> n1" in digraph(graph).source
    True
    """
    return drawing(view(graph), direction=direction)


def drawing(shown: View, *, direction: str = "LR", status: dict[str, str] | None = None) -> graphviz.Digraph:
    """The DOT of a view; `status` colours the nodes of these ids (a PNG knows no style sheet)."""
    import graphviz

    dot = graphviz.Digraph(
        graph_attr={"rankdir": direction, **PAGE},
        node_attr={**BOX, "fontcolor": light("ink")},
        edge_attr={**ARROW, "color": light("line"), "fontcolor": light("muted")},
    )
    _fill(dot, shown, status or {}, direction)
    return dot


def _fill(dot: graphviz.Digraph, shown: View, status: dict[str, str], direction: str) -> None:
    nodes = {node.id: node for node in shown.nodes}
    for node in shown.nodes:
        if not node.function:
            _add(dot, node, status, direction)
    for number, function in enumerate(shown.functions):
        with dot.subgraph(name=f"cluster_{_scope(shown)}f{number}") as cluster:
            _frame(cluster, f"{_scope(shown)}f{number}", function, "function")
            for node in shown.nodes:
                if node.function == function:
                    _add(cluster, node, status, direction)
    for line in shown.lines:
        _connect(dot, line, nodes, direction)


def _scope(shown: View) -> str:
    """What the ids of a view begin with, so that the clusters of inner graphs have names of their own."""
    return next(iter(shown.ids.values()), "n0").rpartition("n")[0]


def _add(dot: graphviz.Digraph, node: ViewNode, status: dict[str, str], direction: str) -> None:
    if node.inner is None:
        dot.node(node.id, f"<{_label(node)}>", **_look(node, status.get(node.id)))
        return
    with dot.subgraph(name=f"cluster_{node.id}") as cluster:
        _frame(cluster, node.id, node.label, "node graph" + (" responder" if node.is_responder else ""))
        if node.is_responder:
            cluster.attr(peripheries="1", penwidth="2.4", color=light("answer"))
        _fill(cluster, node.inner, status, direction)


def _frame(cluster: graphviz.Digraph, id: str, label: str, kind: str) -> None:
    colours = {"fillcolor": light("group-fill"), "color": light("group-line"), "fontcolor": light("muted")}
    look = {"style": "rounded,filled", "margin": "14", "labeljust": "l", "penwidth": "1.2"}
    cluster.attr(id=id, label=f"<<B>{_text(label)}</B>>", **look, **colours, **{"class": kind})


def _look(node: ViewNode, status: str | None) -> dict[str, str]:
    family = FAMILY.get(node.kind, node.kind)
    look = {
        "id": node.id,
        "class": f"{node.kind}{' responder' if node.is_responder else ''}",
        "fillcolor": light(f"{family}-fill"),
        "color": light(f"{family}-line"),
    }
    if node.kind in SHAPES:
        look |= {"shape": SHAPES[node.kind], "style": "filled", "margin": "0.3,0.12", "height": "0.7"}
    if node.kind == kinds.ANY:
        look |= {"style": "rounded,dashed", "height": "0.3", "margin": "0.14,0.06", "fontsize": "11"}
    if node.kind == kinds.FOLD:
        look |= {"style": "rounded,filled,bold", "height": "0.7"}
    if node.is_responder:
        look |= {"peripheries": "2"}
    if status in STATUS:
        look |= {"color": STATUS[status][0], "penwidth": "2.4"}
    return look


def _label(node: ViewNode) -> str:
    """The name and what it is, line under line; for a router a table with a row for each route."""
    lines = [f"<B>{_text(node.label)}</B>"]
    if node.sublabel:
        lines.append(_small(node.sublabel))
    if node.is_responder:
        lines.append(_small("answers", light("answer")))
    text = "<BR/>".join(lines)
    if not node.routes:  # plain lines are laid out in two thirds of a table's time
        return text
    rows = "".join(_route(name, words) for name, words in node.routes)
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">'
        f'<TR><TD CELLPADDING="4">{text}</TD></TR>{rows}</TABLE>'
    )


def _text(text: str) -> str:
    """Text inside an HTML-like label; a backslash in it would still be an escape of graphviz (`\\N`: the node's id)."""
    return escape(text).replace("\\", "\\\\")


def _small(text: str, colour: str | None = None) -> str:
    return f'<FONT POINT-SIZE="10" COLOR="{colour or light("muted")}">{_text(text)}</FONT>'


def _route(name: str, words: str) -> str:
    words = f"&#160; {_small(words)}" if words else ""
    return (
        f'<TR><TD BORDER="1" SIDES="T" COLOR="{light("router-line")}" ALIGN="LEFT" CELLPADDING="3">'
        f'<FONT POINT-SIZE="11">{_text(name)}</FONT>{words}&#160;&#160;&#160;</TD></TR>'
    )


def _connect(dot: graphviz.Digraph, line: ViewLine, nodes: dict[str, ViewNode], direction: str) -> None:
    import graphviz

    look = {"id": line.id, "class": line.kind}
    if line.label:
        look["label"] = graphviz.nohtml(graphviz.escape(f"  {line.label}  "))
    if line.kind == "error":
        look |= {"style": "dashed", "color": light("error-line"), "fontcolor": light("error-line")}
    if line.kind == "alert":
        look |= {"style": "dotted", "color": light("router-line"), "fontcolor": light("router-line")}
    source, target = nodes[line.source], nodes[line.target]
    if line.kind == "cycle":  # laid out forwards and drawn backwards, so that it never turns the flow round
        look |= {"dir": "back", "color": light("cycle-line"), "fontcolor": light("cycle-line")}
        source, target = target, source
    tail, head = _last(source), _first(target)
    look |= _ends(source, target, tail, head, direction)
    dot.edge(tail.id, head.id, **look)


def _ends(source: ViewNode, target: ViewNode, tail: ViewNode, head: ViewNode, direction: str) -> dict[str, str]:
    """Where an arrow leaves and arrives: at the border of an inner graph, at the point of a queue."""
    ends = {}
    behind, ahead = PORTS[direction]
    if source.inner is not None:
        ends["ltail"] = f"cluster_{source.id}"
    if target.inner is not None:
        ends["lhead"] = f"cluster_{target.id}"
    if tail.kind == kinds.QUEUE:  # graphviz cuts arrows at the box around `cds`, not at its point
        ends["tailport"] = ahead
    if head.kind == kinds.QUEUE:
        ends["headport"] = behind
    return ends


def _first(node: ViewNode) -> ViewNode:
    """The node that an arrow to this one ends at: of an inner graph the first step, the border cuts the arrow."""
    while node.inner is not None:
        node = node.inner.nodes[0]
    return node


def _last(node: ViewNode) -> ViewNode:
    while node.inner is not None:
        steps = [inner for inner in node.inner.nodes if inner.kind != kinds.ANY]
        node = next((inner for inner in steps if inner.is_responder), steps[-1])
    return node
