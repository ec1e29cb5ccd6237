"""Terminal: an overview as a table of rich."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nbgraph.monitor.overview.overview import Overview
from nbgraph.monitor.statistics.quality import ASSUMES

STYLES = {"drifted": "bold red", "firing": "bold red", "beyond its limit": "yellow", "pending": "yellow"}


def shown(overview: Overview) -> RenderableType:
    """What a terminal shows of it: a row a field, the quality, the alerts; words beside all colours."""
    parts: list[RenderableType] = [Text(f"{overview.name}: {overview.state}", STYLES.get(overview.state, "bold green"))]
    parts.append(_fields(overview) if overview.fields else Text("No window has ended so far that could be judged."))
    if overview.quality:
        numbers = "  ".join(f"{name} {value:,.4g}" for name, value in overview.quality.items())
        parts.append(Text(f"Quality: {numbers}"))
    if "estimated" in overview.quality:
        parts.append(Text(f"estimated: {ASSUMES}", "dim"))
    parts += [Text(f"{state}: {text}", STYLES.get(state, "")) for state, text in overview.alerts]
    return Group(*parts)


def _fields(overview: Overview) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("edge", "field", "state"):
        table.add_column(name)
    for name in ("distance", "limit", "values"):
        table.add_column(name, justify="right")
    table.add_column("distances")
    for row in overview.fields:
        state = Text(row.state, STYLES.get(row.state, ""))
        numbers = (f"{row.distance:.3f}", f"{row.limit:.3f}", f"{row.values:,}")
        table.add_row(row.edge, row.field, state, *numbers, Text(row.sparkline, STYLES.get(row.state, "cyan")))
    return table
