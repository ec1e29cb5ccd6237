"""Page: an overview as one HTML file that asks nothing of any server."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from nbgraph.monitor.overview.overview import FieldRow, Overview
from nbgraph.monitor.statistics.quality import ASSUMES

WIDTH, HEIGHT = 160, 28  # of a picture of distances
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
body {{ color: #1b1b1b; background: #fff; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #d5d5d5; }}
td {{ font-variant-numeric: tabular-nums; }}
.drifted, .firing {{ color: #a40000; font-weight: bold; }}
.beyond, .pending {{ color: #7a4b00; }}
.calm {{ color: #005f2f; }}
svg {{ display: block; }}
</style>
</head>
<body>
<h1>{title}: <span class="{state}">{state}</span></h1>
<p>As it was on {moment} (UTC).</p>
{alerts}
<h2>Fields</h2>
{fields}
{quality}
</body>
</html>
"""


def page(overview: Overview, moment: datetime | None = None) -> str:
    """The text of the file.

    >>> "<h1>fraud: " in page(Overview("fraud", [], {}, []))
    True
    """
    said = (moment or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M:%S")
    return _PAGE.format(
        title=escape(overview.name), state=overview.state, moment=said, alerts=_alerts(overview),
        fields=_fields(overview), quality=_quality(overview),
    )  # fmt: skip


def _alerts(overview: Overview) -> str:
    if not overview.alerts:
        return "<p>No alert stands.</p>"
    rows = "".join(f'<li class="{state}">{state}: {escape(text)}</li>' for state, text in overview.alerts)
    return f"<h2>Alerts</h2>\n<ul>{rows}</ul>"


def _fields(overview: Overview) -> str:
    if not overview.fields:
        return "<p>No window has ended so far that could be judged.</p>"
    names = ("edge", "field", "state", "distance", "limit", "values", "distances")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, overview.fields))}</tbody></table>"


def _row(row: FieldRow) -> str:
    cells = [escape(row.edge), escape(row.field), f'<span class="{row.state.split()[0]}">{row.state}</span>']
    cells += [f"{row.distance:.3f}", f"{row.limit:.3f}", f"{row.values:,}", _picture(row)]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _picture(row: FieldRow) -> str:
    """The distances as bars, the limit as a dashed line."""
    most = max(*row.distances, 2 * row.limit, 1e-9)
    width = WIDTH / len(row.distances)
    bars = "".join(
        f'<rect x="{number * width:.1f}" y="{HEIGHT * (1 - value / most):.1f}" width="{max(width - 1, 0.5):.1f}" '
        f'height="{HEIGHT * value / most:.1f}" fill="{"#a40000" if value > row.limit else "#3b6ea5"}"/>'
        for number, value in enumerate(row.distances)
    )
    at = f"{HEIGHT * (1 - row.limit / most):.1f}"
    line = f'<line x1="0" x2="{WIDTH}" y1="{at}" y2="{at}" stroke="#555" stroke-dasharray="4 3"/>'
    said = f"{len(row.distances)} windows, the last {row.distance:.3f}, limit {row.limit:.3f}"
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{said}">{bars}{line}</svg>'


def _quality(overview: Overview) -> str:
    if not overview.quality:
        return ""
    rows = overview.quality.items()
    cells = "".join(f'<tr><th scope="row">{name}</th><td>{value:,.4g}</td></tr>' for name, value in rows)
    note = f"<p>estimated: {ASSUMES}.</p>" if "estimated" in overview.quality else ""
    return f"<h2>Quality</h2>\n<table><tbody>{cells}</tbody></table>{note}"
