"""Prints the table: python -m benchmarks [ROW...] [imports] [hosting]; without names, everything."""

from __future__ import annotations

import os
import platform
import sys
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import blocking, hosting, imports, proof
from benchmarks.measure import ROUNDS, Result, measure
from benchmarks.rows import ROWS, Goal, Limit, Row

MARKS = {True: "[green]met[/]", False: "[red]missed[/]"}
IMPORT_MILLISECONDS, IMPORT_MEGABYTES = 80, 35


def main(names: list[str]) -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    unknown = set(names) - {*ROWS, *TABLES}
    if unknown:
        console.print(f"Unknown: {', '.join(sorted(unknown))}. Known: {', '.join([*ROWS, *TABLES])}.")
        return 2
    console.print(f"Python {platform.python_version()}, {os.cpu_count()} cores; medians of {ROUNDS} rounds in turns\n")
    for name in names or [*ROWS, *TABLES]:
        console.print(TABLES[name]() if name in TABLES else row_table(ROWS[name], measure(ROWS[name])))
        console.print()
    return 0


def row_table(row: Row, results: dict[str, Result]) -> Table:
    references = dict.fromkeys([row.entries[0].label, "nbgraph"])
    table = Table(title=row.title, title_justify="left", title_style="bold", min_width=100)
    table.add_column("", min_width=16)
    for column in (f"µs per {row.unit}", "slowest to fastest round", *(f"x {name}" for name in references)):
        table.add_column(column, justify="right")
    for label, result in results.items():
        if result.problem:
            table.add_row(label, "not measured")
            continue
        spread = f"{max(result.rounds) * 1e6:,.2f} to {min(result.rounds) * 1e6:,.2f}"
        against = [ratio(results, label, other) for other in references]
        ratios = [f"{one:,.2f}" if one else "" for one in against]
        table.add_row(label + fewer(row, result), f"{result.seconds * 1e6:,.2f}", spread, *ratios)
    problems = [f"{label}: {result.problem}" for label, result in results.items() if result.problem]
    goals = [*(verdict(goal, results) for goal in row.goals), *(within(limit, results) for limit in row.limits)]
    table.caption = "\n".join([*goals, *problems])
    table.caption_justify = "left"
    return table


def fewer(row: Row, result: Result) -> str:
    """Says so where a slow contender was given fewer events, so that the table does not take hours."""
    return f" ({result.events:,} of them)" if row.events and result.events < row.events else ""


def ratio(results: dict[str, Result], slow: str, fast: str) -> float | None:
    if results[slow].problem or results[fast].problem:
        return None
    return results[slow].seconds / results[fast].seconds


def verdict(goal: Goal, results: dict[str, Result]) -> str:
    found = ratio(results, goal.slow, goal.fast)
    return f"{goal}: " + ("not measured" if found is None else f"{found:,.2f}x, {MARKS[goal.is_met(found)]}")


def within(limit: Limit, results: dict[str, Result]) -> str:
    result = results[limit.label]
    if result.problem:
        return f"{limit}: not measured"
    return f"{limit}: {result.seconds * 1e3:,.1f} ms, {MARKS[result.seconds * 1e3 <= limit.milliseconds]}"


def blocking_table() -> Table:
    """Of callers that come at once: when half of them, and 99 of 100, are answered."""
    rounds, ideal = blocking.measure(), blocking.ideal()
    title = f"{blocking.CALLERS} callers at once of a step of {blocking.SECONDS * 1e3:g} ms, behind a queue"
    table = Table(title=title, title_justify="left", title_style="bold", min_width=100)
    for column in ("", "ms", "ideal", "x ideal"):
        table.add_column(column, justify="right")
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        found, best = blocking.part([one for each in rounds for one in each], share), blocking.part(ideal, share)
        table.add_row(name, f"{found * 1e3:,.0f}", f"{best * 1e3:,.0f}", f"{found / best:.2f}")
    worst = median(max(one / best for one, best in zip(each, ideal, strict=True)) for each in rounds)
    goal = f"the k-th answer / k steps, the worst of a round ≤ {blocking.AT_MOST:g}x"
    table.caption = f"{goal}: {worst:,.2f}x, {MARKS[worst <= blocking.AT_MOST]}"
    table.caption_justify = "left"
    return table


def hosting_table() -> Table:
    """A deployment of two functions with a queue between them."""
    found, problems = hosting.measure()
    table = Table(title="two functions over a queue, hosted", title_justify="left", title_style="bold", min_width=100)
    table.add_column("", min_width=16)
    for target in found:
        table.add_column(target, justify="right")
    for name, (title, scale, unit) in hosting.FIGURES.items():
        values = [costs.get(name) for costs in found.values()]
        table.add_row(title, *("" if value is None else f"{value * scale:,.1f} {unit}" for value in values))
    table.caption, table.caption_justify = "\n".join(problems), "left"
    return table


def import_table() -> Table:
    costs = imports.measure()
    bare = costs.pop("python")
    table = Table(title="import, above a bare start of Python", title_justify="left", title_style="bold", min_width=100)
    table.add_column("", min_width=16)
    for column in ("ms", "MB", f"goal: ≤ {IMPORT_MILLISECONDS} ms, ≤ {IMPORT_MEGABYTES} MB"):
        table.add_column(column, justify="right")
    for name, cost in costs.items():
        is_met = cost.milliseconds <= IMPORT_MILLISECONDS and cost.megabytes <= IMPORT_MEGABYTES
        mark = MARKS[is_met] if name.startswith("nbgraph") else ""
        table.add_row(name, f"{cost.milliseconds:,.0f}", f"{cost.megabytes:,.1f}", mark)
    table.caption = f"The bare start: {bare.milliseconds:,.0f} ms, {bare.megabytes:,.1f} MB"
    table.caption_justify = "left"
    return table


def proof_table() -> Table:
    table = Table(title="A graph of each notebook is captured and proven", title_justify="left", title_style="bold")
    for column in ("", "graph", "seconds", "the proof's", "kB", "proven equal"):
        table.add_column(column)
    for name, cost in proof.measure().items():
        figures = (f"{cost.captured:.2f}", f"{cost.proven:.2f}", f"{cost.bytes / 1000:,.0f}")
        table.add_row(name, cost.graph, *figures, cost.compared)
    return table


TABLES = {"imports": import_table, "blocking": blocking_table, "hosting": hosting_table, "proof": proof_table}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
