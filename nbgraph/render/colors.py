"""Colours: every colour of a picture once, for light and for dark.

A picture is drawn in the light colours; its style sheet turns each of them, by value, into a variable that a dark page
changes. So no two roles may share a light colour. Text on a fill has a contrast of at least 4.5 : 1 in both.
"""

from __future__ import annotations

COLOURS: dict[str, tuple[str, str]] = {
    "page": ("#fefefe", "#16181d"),
    "ink": ("#1b2430", "#e8eaed"),
    "muted": ("#5b6675", "#a4adba"),
    "line": ("#76818f", "#8b95a3"),
    "task-fill": ("#f5f7fa", "#232830"),
    "task-line": ("#8793a3", "#6f7b8a"),
    "model-fill": ("#f4f0fe", "#2d2440"),
    "model-line": ("#7c4ddb", "#a98bf0"),
    "router-fill": ("#edf4fe", "#1d2c43"),
    "router-line": ("#2f6bd6", "#6fa4f5"),
    "queue-fill": ("#e6f6f8", "#17323a"),
    "queue-line": ("#0b7285", "#46b8cc"),
    "store-fill": ("#f3f6e6", "#2a3018"),
    "store-line": ("#5f7414", "#a9bf56"),
    "error-fill": ("#fdf0ef", "#3a2123"),
    "error-line": ("#c0362c", "#f08078"),
    "group-fill": ("#fafbfc", "#1b1e24"),
    "group-line": ("#c3cbd5", "#3d4550"),
    "cycle-line": ("#9a4d00", "#e0a050"),
    "answer": ("#14713d", "#58c98a"),
}
STATUS: dict[str, tuple[str, str]] = {
    "running": ("#1d6fe0", "#6aa9ff"),
    "waiting": ("#8a6100", "#dba92e"),
    "done": ("#17803f", "#4cc27c"),
    "failed": ("#c2251b", "#ff7b72"),
    "paused": ("#b03a93", "#ee86d3"),
    "pinned": ("#6f42c1", "#b392f0"),
    "changed": ("#a84300", "#f0a060"),
}


def light(name: str) -> str:
    """The colour that a picture is drawn with."""
    return COLOURS[name][0]


def style_sheet() -> str:
    """The CSS that goes into every picture: dark with the reader's system, or with a page that says so by class."""
    names = {**COLOURS, **{f"status-{status}": pair for status, pair in STATUS.items()}}
    day = ";".join(f"--nbg-{name}:{pair[0]}" for name, pair in names.items())
    night = ";".join(f"--nbg-{name}:{pair[1]}" for name, pair in names.items())
    swaps = "".join(
        f'.nbgraph [{part}="{pair[0]}"]{{{part}:var(--nbg-{name})}}'
        for name, pair in COLOURS.items()
        for part in ("fill", "stroke")
    )
    marks = "".join(
        f'.nbgraph [data-status="{status}"]>:is(path,polygon,ellipse){{stroke:var(--nbg-status-{status});'
        f'stroke-width:2.2}}.nbgraph [data-status="{status}"]>.nbg-mark{{color:var(--nbg-status-{status})}}'
        for status in STATUS
    )
    fonts = 'font-family:Arial,"Liberation Sans",Arimo,Helvetica,sans-serif'
    halo = "paint-order:stroke;stroke:var(--nbg-page);stroke-width:4px;stroke-linejoin:round"
    air = (
        ".nbgraph .node text[font-weight]{transform:translateY(-1.5px)}.nbgraph .node text{transform:translateY(1.5px)}"
    )
    return (
        f".nbgraph text{{{fonts}}}{air}.nbgraph .edge text{{{halo}}}"
        f".nbgraph{{{day}}}@media (prefers-color-scheme:dark){{.nbgraph:not(.nbg-light){{{night}}}}}"
        f".nbgraph.nbg-dark{{{night}}}{swaps}{marks}"
    )
