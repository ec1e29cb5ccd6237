"""The Trace: the frames of a run, as a list, as a table, as a file.

Its file also has the graph, as far as that can be written, and is read without importing anything that the graph names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.debug.frame import Frame, error_document
from nbgraph.debug.json_values import from_document, to_document
from nbgraph.errors import GraphError, NbgraphError, RecordedError
from nbgraph.event import Event
from nbgraph.graph.documents.decode import read_graph
from nbgraph.graph.documents.document import outline
from nbgraph.graph.edge import Condition
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import is_dotted
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.scope import Scope
from nbgraph.graph.step import Handled
from nbgraph.introspection import speakable

if TYPE_CHECKING:
    import pandas

VERSION = 2
UNMARKED = 1  # the version of files without marked values
# without headers, which may hold credentials
_OF_EVENT = ("body", "key", "id", "path", "method", "content_type", "time", "params")


class Trace:
    """Frames in the order they ran; `answer` and `error` of the run, `graph` it ran through, `event` as it entered.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> trace = graph.trace(" hi ")
    >>> [(frame.step, frame.input, frame.output) for frame in trace.frames]
    [('strip', ' hi ', 'hi'), ('upper', 'hi', 'HI')]
    """

    def __init__(
        self,
        frames: Sequence[Frame] = (),
        *,
        graph: Graph | None = None,
        answer: Any = None,
        error: BaseException | None = None,
        event: Event | None = None,
        spec: Mapping[str, Any] | None = None,
        is_marked: bool = True,
        due: Frame | None = None,
    ) -> None:
        self.frames = list(frames)
        self.graph, self.answer, self.error, self.event = graph, answer, error, event
        self.due = due  # the call before which it ends; a debugger stands there
        self.is_marked = is_marked  # False if read from a file without marks
        self._spec = spec

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def by_step(self, name: str) -> list[Frame]:
        """The frames of one step.

        Parameters
        ----------
        name
            Name of the step.
        """
        return [frame for frame in self.frames if frame.step == name]

    def by_event(self, id: str) -> list[Frame]:
        """The frames of one event.

        Parameters
        ----------
        id
            Id of the event.
        """
        return [frame for frame in self.frames if frame.event_id == id]

    def to_frame(self) -> pandas.DataFrame:
        """One row a frame, as a pandas DataFrame."""
        import pandas

        rows = [{name: speakable(getattr(frame, name)) for name in Frame.__struct_fields__} for frame in self.frames]
        return pandas.DataFrame(rows, columns=list(Frame.__struct_fields__))

    def to_dict(self) -> dict[str, Any]:
        """The trace as plain data: values unknown to JSON are marked, see `json_values`.

        Parts of the graph without a text form (a lambda as an argument) are marked as such.
        """
        spec = _outlined(self.graph) if self._spec is None and self.graph is not None else self._spec
        return {
            "version": VERSION if self.is_marked else UNMARKED,
            "graph": spec,
            "answer": to_document(self.answer),
            "error": error_document(self.error),
            "event": _event_document(self.event) if self.event is not None else None,
            "frames": [frame.to_dict() for frame in self.frames],
        }

    def to_json(self) -> bytes:
        """The trace as JSON."""
        return msgspec.json.encode(self.to_dict())

    def save(self, path: str | Path) -> Path:
        """Write the trace as JSON.

        Parameters
        ----------
        path
            Path of the file.
        """
        path = Path(path)
        path.write_bytes(msgspec.json.format(self.to_json(), indent=1))
        return path

    def replay(self, graph: Graph | None = None) -> pandas.DataFrame:
        """Run the event again, through the graph as it is now or another one, and compare frame by frame.

        >>> graph = Graph("sum")
        >>> _ = graph.to("(event + 1)", "add").to("(event * 2)", "double")
        >>> trace, changed = graph.trace(1), Graph("sum")
        >>> _ = changed.to("(event + 1)", "add").to("(event * 3)", "double")
        >>> list(trace.replay(changed)["equal"])
        [True, False]

        Parameters
        ----------
        graph
            Another graph; None: the one it was recorded from.
        """
        from nbgraph.debug.replay import replay

        return replay(self, graph)

    def compare(self, other: Trace) -> pandas.DataFrame:
        """Hold another run against this one, call by call: what differs, what only one of them has, where it goes on.

        >>> graph = Graph("size")
        >>> _ = graph.to(len).to("(event > 3)", "is_long")
        >>> graph.trace("four").compare(graph.trace("two"))[["step", "state", "difference"]].values.tolist()
        [['len', 'differs', '4 this, 3 other'], ['is_long', 'differs', 'true this, false other']]

        Parameters
        ----------
        other
            Another trace, of this graph or of a changed one, of this event or another one.
        """
        from nbgraph.debug.comparison import compare

        return compare(self, other)

    @classmethod
    def load(cls, path: str | Path, *, namespace: Mapping[str, Any] | None = None, allow: Sequence[str] = ()) -> Trace:
        """The trace of a file that `save` wrote.

        Nothing is imported for it: a handler that the namespace does not have, and no module in `allow`, stays a name.

        Parameters
        ----------
        path
            Path of the file.
        namespace
            Where names are looked up; None: the caller's own.
        allow
            Modules whose dotted names may be used.
        """
        try:
            data = msgspec.json.decode(Path(path).read_bytes())
        except msgspec.DecodeError as error:
            raise NbgraphError(f"{path} is not a saved trace: {error}.") from error
        if not isinstance(data, dict) or data.get("version") not in (UNMARKED, VERSION):
            raise NbgraphError(f"{path} is not a trace of version {VERSION}; save it again with this nbgraph.")
        scope = Scope(namespace or {}, tuple(allow), is_document=True, is_given=namespace is not None)
        return cls.from_dict(data, _unbound_graph(data["graph"], scope) if data["graph"] else None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], graph: Graph | None = None) -> Trace:
        """The trace that `to_dict` made plain data of.

        Parameters
        ----------
        data
            What `to_dict` gave.
        graph
            The graph that it ran through.
        """
        is_marked = data.get("version", VERSION) != UNMARKED
        read = from_document if is_marked else _itself
        frames = [_frame(row, read) for row in data["frames"]]
        event = _event(data["event"], read) if data.get("event") is not None else None
        answer, error = read(data["answer"]), _recorded_error(data["error"])
        return cls(
            frames, graph=graph, answer=answer, error=error, event=event, spec=data.get("graph"), is_marked=is_marked
        )

    def __repr__(self) -> str:
        steps = " -> ".join(frame.step for frame in self.frames[:12])
        more = f" … {len(self.frames) - 12} more" if len(self.frames) > 12 else ""
        error = f"; error: {self.error}" if self.error is not None else ""
        return f"<Trace of {len(self.frames)} frames: {steps}{more}{error}>"


def _event_document(event: Event) -> dict[str, Any]:
    fields = {name: getattr(event, name) for name in _OF_EVENT}
    return {**fields, "body": to_document(event.body), "key": to_document(event.key), "time": event.time.isoformat()}


def _event(document: Mapping[str, Any], read: Callable[[Any], Any]) -> Event:
    values = {"body": read(document["body"]), "key": read(document["key"])}
    return Event(**{**document, **values, "time": datetime.fromisoformat(document["time"])})


def _itself(value: Any) -> Any:
    return value


def _recorded_error(error: Mapping[str, str] | None) -> RecordedError | None:
    return None if error is None else RecordedError(error["type"], error["message"])


def _frame(row: Mapping[str, Any], read: Callable[[Any], Any]) -> Frame:
    inner = tuple([_frame(one, read) for one in row.get("inner", ())])
    values = {name: read(row[name]) for name in ("input", "output") if name in row}
    return Frame(
        **{**row, **values, "edges": tuple(row["edges"]), "error": _recorded_error(row["error"]), "inner": inner}
    )


def _outlined(graph: Graph) -> dict[str, Any] | None:
    """The graph as plain data; parts without a text form are marked as such. None without an outline."""
    try:
        return outline(graph)
    except GraphError:
        return None


def _unbound_graph(document: Mapping[str, Any], scope: Scope) -> Graph | None:
    """The graph of a trace, for reading only: what may not be loaded stays text."""
    try:
        return read_graph(document, scope)
    except GraphError:
        try:
            return read_graph(document, scope, admit=_UnboundAdmission)
        except GraphError:
            return None


class _UnboundAdmission(Admission):
    """Keeps as text what it must not bind: dotted names that a loaded graph may not import, and all Python."""

    def handler(self, text: str, where: str) -> Handled:
        try:
            return super().handler(text, where)
        except GraphError:
            return text if is_dotted(text) else _inert(text)

    def code(self, text: str, where: str) -> Any:
        try:
            return super().code(text, where)
        except GraphError:
            return _inert(text)

    def condition(self, text: str, where: str) -> Condition:
        try:
            return super().condition(text, where)
        except GraphError:
            return _inert(text)

    def arguments(self, handler: Any, arguments: Mapping[str, Any], where: str) -> None:
        try:
            super().arguments(handler, arguments, where)
        except GraphError:
            assert isinstance(arguments, dict)
            for name, value in arguments.items():
                arguments[name] = _inert(value) if isinstance(value, str) else value

    def exception(self, text: str, where: str) -> type[BaseException]:
        try:
            return super().exception(text, where)
        except GraphError:
            return Exception


def _inert(text: str) -> str:
    return text if text.startswith("<") else f"<{text}>"
