"""What is compared with what, and what nbgraph is to reach."""

from __future__ import annotations

from dataclasses import dataclass

SCRIPTS: dict[str, tuple[str, str | None]] = {
    "by hand": ("by_hand.py", None),
    "nbgraph": ("with_nbgraph.py", None),
    "Starlette": ("gateway_with_starlette.py", None),
    "Starlette, uvicorn[standard]": ("gateway_with_starlette.py", "gateway"),
    "nbgraph gateway": ("gateway_with_nbgraph.py", None),
    "NATS client": ("pipeline_with_nats.py", None),
    "nbgraph workers": ("workers_with_nbgraph.py", None),
    "nbgraph pipeline": ("pipeline_with_nbgraph.py", None),
    "networkx": ("with_networkx.py", None),
    "Storey": ("with_storey.py", "streams"),
    "Bytewax": ("with_bytewax.py", "streams"),
    "Quix Streams": ("with_quix.py", "streams"),
    "MLRun": ("with_mlrun.py", "mlrun"),
    "ring buffers": ("windows_by_hand.py", None),
    "nbgraph windows": ("windows_with_nbgraph.py", None),
    "features by hand": ("features_by_hand.py", None),
    "nbgraph features": ("features_with_nbgraph.py", None),
    "jobs by hand": ("jobs_by_hand.py", None),
    "nbgraph jobs": ("jobs_with_nbgraph.py", None),
    "Storey windows": ("windows_with_storey.py", "streams"),
}


@dataclass(frozen=True)
class Entry:
    """One line of a row: what it is called, whose process does it, under which name the process knows the work."""

    label: str
    contender: str
    work: str


@dataclass(frozen=True)
class Goal:
    """The time of `slow` divided by the time of `fast`: at most, or at least, so much."""

    slow: str
    fast: str
    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, ratio: float) -> bool:
        return (self.at_most is None or ratio <= self.at_most) and (self.at_least is None or ratio >= self.at_least)

    def __str__(self) -> str:
        bound = f"≤ {self.at_most:.4g}x" if self.at_most is not None else f"≥ {self.at_least:g}x"
        return f"{self.slow} / {self.fast} {bound}"


@dataclass(frozen=True)
class Limit:
    """The time that an entry may take for one event."""

    label: str
    milliseconds: float

    def __str__(self) -> str:
        return f"{self.label} ≤ {self.milliseconds:g} ms"


@dataclass(frozen=True)
class Row:
    """A piece of work that several contenders do; the first entry is the reference."""

    title: str
    entries: tuple[Entry, ...]
    goals: tuple[Goal, ...] = ()
    events: int | None = None  # None: as many as fit into the time of a round
    multiple: int = 1  # events come in so many at once: the steps of a graph that is built
    unit: str = "event"
    limits: tuple[Limit, ...] = ()
    warm_up: int = 200  # events, and the fewest of a round


def chain(steps: int, at_most: float) -> Row:
    work = f"chain {steps}"
    entries = [Entry(name, name, work) for name in ("by hand", "nbgraph", "Storey")]
    entries += [Entry(f"MLRun, {engine}", "MLRun", f"{work} {engine}") for engine in ("sync", "async")]
    goals = (
        Goal("nbgraph", "by hand", at_most=at_most),
        Goal("Storey", "nbgraph", at_least=400),
        Goal("MLRun, sync", "nbgraph", at_least=25),
    )
    return Row(f"chain of {steps} steps (x + 1), one event at a time", tuple(entries), goals)


def of_same_work(title: str, work: str, names: tuple[str, ...], goals: tuple[Goal, ...], events: int) -> Row:
    return Row(title, tuple(Entry(name, name, work) for name in names), goals, events)


def building(steps: int) -> Row:
    work = f"build {steps}"
    entries = (Entry("networkx", "networkx", work), Entry("nbgraph", "nbgraph", work))
    goals = (Goal("nbgraph", "networkx", at_most=2),)
    return Row(f"build, check and serialise a graph of {steps} steps", entries, goals, multiple=steps, unit="step")


def picture(steps: int, milliseconds: float) -> Row:
    work = f"picture {steps}"
    entries = (Entry("nbgraph", "nbgraph", work), Entry("nbgraph, diamonds", "nbgraph", f"{work} diamonds"))
    limits = (Limit("nbgraph", milliseconds),)
    title = f"a graph of {steps:,} steps built and drawn: a chain; two ways that part and meet again and again"
    return Row(title, entries, unit="picture", limits=limits, warm_up=2)


STREAM_GOALS = (
    Goal("nbgraph", "by hand", at_most=1.6),
    Goal("Bytewax", "nbgraph", at_least=1),
    Goal("Quix Streams", "nbgraph", at_least=1),
)
RECORD_GOALS = (Goal("nbgraph", "by hand", at_most=1.8), Goal("Bytewax", "nbgraph", at_least=1))
TRACED = "nbgraph, traced"
KEPT = "traced, all kept"
SHARED = "nbgraph, copy=False"

ROWS: dict[str, Row] = {
    "chain3": chain(3, 3.0),
    "chain20": chain(20, 1.4),
    "chain100": chain(100, 1.25),
    "stream": of_same_work(
        "stream of 100,000 events: map, filter, flat map, reduce",
        "stream",
        ("by hand", "nbgraph", "Bytewax", "Quix Streams", "Storey"),
        STREAM_GOALS,
        100_000,
    ),
    "records": of_same_work(
        "20,000 records of ten fields: enrich, derive, branch, collect",
        "records",
        ("by hand", "nbgraph", "Bytewax"),
        RECORD_GOALS,
        20_000,
    ),
    "broadcast": Row(
        "20,000 records of ten fields, each to three steps: with a body for each branch, and with one for all",
        (Entry(SHARED, "nbgraph", "broadcast shared"), Entry("nbgraph", "nbgraph", "broadcast")),
        (Goal("nbgraph", SHARED, at_most=1.5),),
        20_000,
    ),
    "fetch": of_same_work(
        "4,000 waits of 2 ms, 64 in flight, answers in order",
        "fetch",
        ("by hand", "nbgraph"),
        (Goal("nbgraph", "by hand", at_most=1.05),),
        4_000,
    ),
    "windows": Row(
        "windows of 1 h and 6 h, sliding by 10 min, of 1,000 keys: sum and mean of 100,000 events",
        (
            Entry("by hand", "ring buffers", "windows"),
            Entry("nbgraph", "nbgraph windows", "windows"),
            Entry("nbgraph, frame", "nbgraph windows", "windows of a frame"),
            Entry("Storey", "Storey windows", "windows"),
        ),
        (Goal("nbgraph", "by hand", at_most=1.5), Goal("Storey", "nbgraph", at_least=20)),
        100_000,
    ),
    "vote": of_same_work(
        "three scikit-learn models that vote: logistic regression, random forest, gradient boosting",
        "vote usual",
        ("by hand", "nbgraph"),
        (Goal("nbgraph", "by hand", at_most=1.05),),
        150,
    ),
    "vote_quick": of_same_work(
        "three scikit-learn models that vote, all of them quick: three logistic regressions",
        "vote quick",
        ("by hand", "nbgraph"),
        (Goal("nbgraph", "by hand", at_most=1.05),),
        1_000,
    ),
    "trace": Row(
        "five steps of 100 µs of work each, with and without a trace",
        (Entry("nbgraph", "nbgraph", "spin"), Entry(TRACED, "nbgraph", "spin traced")),
        (Goal(TRACED, "nbgraph", at_most=1.10),),
    ),
    "debugger": Row(
        "10,000 events through two steps in the debugger, and traced one by one",
        (Entry(KEPT, "nbgraph", "many traced"), Entry("nbgraph", "nbgraph", "many debugged")),
        (Goal("nbgraph", KEPT, at_most=2),),
        10_000,
    ),
    "build10": building(10),
    "build100": building(100),
    "build1000": building(1000),
    "picture100": picture(100, 40),
    "picture1000": picture(1000, 400),
    "completion": Row(
        "completion behind an arrow, in a cell of 20 lines and a notebook of 300 functions",
        (Entry("nbgraph", "nbgraph", "completion"),),
        unit="completion",
        limits=(Limit("nbgraph", 20),),
        warm_up=20,
    ),
    "features_held": Row(
        "ten held features of a million payments, asked for at 100,000 past moments",
        (Entry("polars", "features by hand", "held"), Entry("nbgraph", "nbgraph features", "held")),
        (Goal("nbgraph", "polars", at_most=1.2),),
        1_000_000,
        unit="row",
        warm_up=1_000_000,
    ),
    "features_windows": Row(
        "windows of an hour and a day over a million payments, asked for at 100,000 past moments",
        (Entry("nbgraph", "nbgraph features", "windows"),),
        unit="row",
        events=1_000_000,
        warm_up=1_000_000,
    ),
    "features_online": Row(
        "ten held features of one card, now, from SQLite",
        (Entry("sqlite3 and json", "features by hand", "online"), Entry("nbgraph", "nbgraph features", "online")),
        (Goal("nbgraph", "sqlite3 and json", at_most=2),),
        unit="read",
        limits=(Limit("nbgraph", 0.08),),
    ),
    "features_online_windows": Row(
        "six windowed features of one card, now, from SQLite",
        (Entry("nbgraph", "nbgraph features", "online windows"),),
        unit="read",
        limits=(Limit("nbgraph", 0.105),),
    ),
    "features_online_many": Row(
        "ten held features of 100 cards in one read, now, from SQLite",
        (Entry("sqlite3 and json", "features by hand", "many"), Entry("nbgraph", "nbgraph features", "many")),
        (Goal("nbgraph", "sqlite3 and json", at_most=2),),
        unit="read",
    ),
    "features_ingest": Row(
        "100,000 payments through a graph of three steps into a Delta table",
        (Entry("loop, write_deltalake", "features by hand", "ingest"), Entry("nbgraph", "nbgraph features", "ingest")),
        (Goal("nbgraph", "loop, write_deltalake", at_most=1.5),),
        100_000,
        unit="row",
        warm_up=100_000,
    ),
    "jobs": Row(
        "a million orders, three plain steps, Parquet to Parquet on two workers, their start included",
        (
            Entry("pool by hand", "jobs by hand", "pool"),
            Entry("nbgraph", "nbgraph jobs", "pool"),
            Entry("nbgraph, Dask", "nbgraph jobs", "dask"),
        ),
        (Goal("nbgraph", "pool by hand", at_most=1.15), Goal("nbgraph, Dask", "nbgraph", at_most=1.25)),
        1_000_000,
        unit="row",
        warm_up=1_000_000,
    ),
    "jobs_one": Row(
        "the same on one worker, beside a loop in a process that is started for it",
        (Entry("loop by hand", "jobs by hand", "loop"), Entry("nbgraph", "nbgraph jobs", "loop")),
        (Goal("nbgraph", "loop by hand", at_most=1.1),),
        1_000_000,
        unit="row",
        warm_up=1_000_000,
    ),
    "jobs_speedup": Row(
        "a step of 100 µs on one worker and on two, their start included",
        (Entry("nbgraph", "nbgraph jobs", "busy 1"), Entry("nbgraph, 2 workers", "nbgraph jobs", "busy 2")),
        (Goal("nbgraph", "nbgraph, 2 workers", at_least=1.75),),
        40_000,
        unit="row",
        warm_up=40_000,
    ),
    "jobs_keyed": Row(
        "sliding windows of 4,000 cards over 200,000 payments on two workers, Parquet to Parquet",
        (Entry("pandas, pool by hand", "jobs by hand", "keyed"), Entry("nbgraph", "nbgraph jobs", "keyed")),
        (Goal("nbgraph", "pandas, pool by hand", at_most=1.3),),
        200_000,
        unit="row",
        warm_up=200_000,
    ),
    "jobs_small": Row(
        "a job of ten rows, from its start to its result",
        (Entry("nbgraph", "nbgraph jobs", "small"),),
        unit="row",
        events=10,
        limits=(Limit("nbgraph", 200),),
        warm_up=10,
    ),
    "jobs_resumed": Row(
        "a job of 1,000 parts that are all done is gone on with: none runs",
        (Entry("nbgraph", "nbgraph jobs", "resumed"),),
        unit="part",
        events=1_000,
        limits=(Limit("nbgraph", 1),),
        warm_up=1_000,
    ),
    "gateway": Row(
        "HTTP: an echo of JSON, 64 connections; the server on one core, the load on the other",
        (
            Entry("Starlette", "Starlette", "gateway"),
            Entry("with uvloop", "Starlette, uvicorn[standard]", "gateway"),
            Entry("nbgraph", "nbgraph gateway", "gateway"),
        ),
        (Goal("Starlette", "nbgraph", at_least=1.2),),
        2_000,
        unit="request",
    ),
    "workers": Row(
        "HTTP: a step of 5 ms of CPU, 16 connections, behind one worker and behind two",
        (
            Entry("nbgraph", "nbgraph workers", "workers 1"),
            Entry("nbgraph, 2 workers", "nbgraph workers", "workers 2"),
        ),
        (Goal("nbgraph", "nbgraph, 2 workers", at_least=1.8),),
        1_000,
        unit="request",
        warm_up=400,
    ),
    "queue": Row(
        "two functions over a queue of NATS JetStream, each a process",
        (Entry("NATS client", "NATS client", "pipeline"), Entry("nbgraph", "nbgraph pipeline", "pipeline")),
        (Goal("nbgraph", "NATS client", at_most=1 / 0.7),),
        5_000,
        warm_up=5_000,  # a round begins with 64 requests over HTTP, which is not what is measured
    ),
}
