"""Samples: events that are kept with their answers in a readable file beside the notebook, and run at each change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from nbgraph.debug.comparison import as_saved
from nbgraph.debug.difference import difference
from nbgraph.debug.frame import error_document
from nbgraph.debug.json_values import from_document, to_document
from nbgraph.debug.recorder import trace as record
from nbgraph.debug.trace import Trace
from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph

if TYPE_CHECKING:
    import pandas

NAMES = ("kept", "now")
COLUMNS = ["sample", "kept", "now", "equal", "difference"]
_UNSET: Any = object()


class Sample(msgspec.Struct, frozen=True):
    """A body, and what it is to be answered: `answer` is None where nothing is kept for it."""

    name: str
    body: Any
    answer: tuple[Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The sample as plain data, values that JSON has no notation for marked as in traces."""
        kept = {} if self.answer is None else {"answer": to_document(self.answer[0])}
        return {"name": self.name, "body": to_document(self.body), **kept}


class Samples(Sequence[Sample]):
    """The samples of a file, which need not be there yet; `keep` writes it.

    >>> import tempfile
    >>> graph = Graph("shout")
    >>> _ = graph.to(str.upper)
    >>> samples = Samples(Path(tempfile.mkdtemp()) / "shout.samples.yaml")
    >>> _ = samples.keep("hi", answer="HI")
    >>> samples.check(graph).equal
    True

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._kept = _read(self.path) if self.path.exists() else []

    @classmethod
    def of(cls, graph: Graph) -> Samples:
        """The samples beside the notebook: `NAME.samples.yaml` in its folder.

        Parameters
        ----------
        graph
            The graph whose name the file has.
        """
        return cls(f"{graph.name}.samples.yaml")

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: Any) -> Any:
        return self._kept[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._kept)

    def keep(self, body: Any, *, answer: Any = _UNSET, name: str = "") -> Sample:
        """Keep one more and write the file; of a trace its event and, unless another is given, its answer.

        Parameters
        ----------
        body
            The body, an Event, or a Trace.
        answer
            What it is to be answered; left out: any answer will do.
        name
            What it is called; empty: its number.
        """
        if isinstance(body, Trace):
            if body.event is None:
                raise NbgraphError("The trace does not have the event as it came in; give the body itself.")
            answer = body.answer if answer is _UNSET and body.error is None else answer
            body = body.event
        body = body.body if isinstance(body, Event) else body
        names = {one.name for one in self._kept}
        if name in names:
            raise NbgraphError(f'{self.path} has a sample "{name}" already; give this one another name.')
        made = Sample(name or _free(names), body, None if answer is _UNSET else (answer,))
        self._kept.append(made)
        self.save()
        return made

    def save(self) -> Path:
        """Write the file."""
        document = {"samples": [one.to_dict() for one in self._kept]}
        self.path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return self.path

    def check(self, graph: Graph) -> SampleCheck:
        """Run every sample through the graph, on steps of its own.

        Parameters
        ----------
        graph
            The graph.
        """
        return check(graph, self._kept)


class SampleCheck:
    """What samples came to: `rows` by sample, `untaken` the arrows that none of them took.

    `str()` tells both in lines; it is what a cell shows.
    """

    def __init__(self, rows: list[tuple[Any, ...]], untaken: list[tuple[str, str]]) -> None:
        self.rows, self.untaken = rows, untaken

    @property
    def equal(self) -> bool:
        """Whether every sample was answered as it was kept; one without an answer must not fail."""
        return all(row[3] for row in self.rows)

    def to_frame(self) -> pandas.DataFrame:
        """A row a sample: what was kept, what came now, whether it is the same, where it first differs."""
        import pandas

        return pandas.DataFrame(self.rows, columns=COLUMNS)

    def __str__(self) -> str:
        wrong = [f"  - {row[0]}: {row[4]}" for row in self.rows if not row[3]]
        head = f"{len(self.rows) - len(wrong)} of {len(self.rows)} samples are answered as they were kept."
        missed = [f"  - {source} -> {target}" for source, target in self.untaken]
        return "\n".join([head, *wrong, *(["No sample takes:", *missed] if missed else [])])

    __repr__ = __str__


def check(graph: Graph, samples: Sequence[Sample]) -> SampleCheck:
    """Run samples through a twin of the graph: what its steps remember is not touched."""
    twin = Graph(graph.name)
    twin.become(graph)
    traces = [record(twin, Event(from_document(to_document(one.body)))) for one in samples]
    taken = {(frame.step, target) for one in traces for frame in one.frames for target in frame.edges}
    untaken = [(edge.source, edge.target) for edge in graph.edges if edge.carries_events]
    rows = [_row(*pair) for pair in zip(samples, traces, strict=True)]
    return SampleCheck(rows, [one for one in untaken if one not in taken])


def _row(sample: Sample, trace: Trace) -> tuple[Any, ...]:
    if trace.error is not None:
        error = error_document(trace.error) or {}
        return sample.name, _kept(sample), error, False, f"{error.get('type')}: {error.get('message')}"
    now = as_saved(trace.answer)
    if sample.answer is None:
        return sample.name, None, now, True, ""
    found = difference(as_saved(sample.answer[0]), now, names=NAMES)
    return sample.name, _kept(sample), now, found is None, found or ""


def _kept(sample: Sample) -> Any:
    return None if sample.answer is None else sample.answer[0]


def _free(names: set[str]) -> str:
    return next(name for number in range(1, len(names) + 2) if (name := f"sample {number}") not in names)


def _read(path: Path) -> list[Sample]:
    expected = "expected `samples:` and below it a list of `name`, `body` and, where there is one, `answer`"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [_sample(number, one) for number, one in enumerate(document["samples"], 1)]
    except yaml.YAMLError as error:
        raise NbgraphError(f"{path} is not YAML: {error}; {expected}.") from error
    except (TypeError, KeyError, AttributeError) as error:
        raise NbgraphError(f"{path} is not a file of samples; {expected}.") from error


def _sample(number: int, document: dict[str, Any]) -> Sample:
    answer = (from_document(document["answer"]),) if "answer" in document else None
    return Sample(str(document.get("name") or f"sample {number}"), from_document(document["body"]), answer)
