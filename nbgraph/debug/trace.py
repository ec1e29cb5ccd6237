"""A Trace: the frames of a run, to look through, to put into a table, to save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.debug.frame import Frame, error_document
from nbgraph.debug.json_values import told, untold
from nbgraph.debug.trace_graph import outlined, unbound
from nbgraph.errors import NbgraphError, RecordedError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.graph.scope import Scope
from nbgraph.introspection import speakable

if TYPE_CHECKING:
    import pandas

VERSION = 2
UNMARKED = 1  # the version of files whose values were only what JSON has words for
Read = Callable[[Any], Any]
_OF_EVENT = ("body", "key", "id", "path", "method", "content_type", "time", "params")  # headers may hold credentials


class Trace:
    """Frames in the order they ran; `answer` and `error` of the run, `graph` it ran through, `event` as it came in.

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
    ) -> None:
        self.frames = list(frames)
        self.graph, self.answer, self.error, self.event = graph, answer, error, event
        self.is_marked = is_marked  # False where it was read from a file that could not tell values apart
        self._spec = spec

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def by_step(self, name: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.step == name]

    def by_event(self, id: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.event_id == id]

    def to_frame(self) -> pandas.DataFrame:
        """One row a frame, as a pandas DataFrame."""
        import pandas

        rows = [{name: speakable(getattr(frame, name)) for name in Frame.__struct_fields__} for frame in self.frames]
        return pandas.DataFrame(rows, columns=list(Frame.__struct_fields__))

    def to_dict(self) -> dict[str, Any]:
        """The trace as plain data: values that JSON has no words for are marked, see `marks`.

        Of the graph that has no text (a lambda as an argument) is told as such.
        """
        spec = outlined(self.graph) if self._spec is None and self.graph is not None else self._spec
        return {
            "version": VERSION if self.is_marked else UNMARKED,
            "graph": spec,
            "answer": told(self.answer),
            "error": error_document(self.error),
            "event": _event_document(self.event) if self.event is not None else None,
            "frames": [frame.to_dict() for frame in self.frames],
        }

    def to_json(self) -> bytes:
        """The trace as JSON."""
        return msgspec.json.encode(self.to_dict())

    def save(self, path: str | Path) -> Path:
        """Write the trace as JSON."""
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
        """
        from nbgraph.debug.replay import replay

        return replay(self, graph)

    @classmethod
    def load(cls, path: str | Path, *, namespace: Mapping[str, Any] | None = None, allow: Sequence[str] = ()) -> Trace:
        """The trace of a file that `save` wrote.

        Nothing is imported for it: a handler that the namespace does not have, and no module in `allow`, stays a name.
        """
        try:
            data = msgspec.json.decode(Path(path).read_bytes())
        except msgspec.DecodeError as error:
            raise NbgraphError(f"{path} is not a saved trace: {error}.") from error
        if not isinstance(data, dict) or data.get("version") not in (UNMARKED, VERSION):
            raise NbgraphError(f"{path} is not a trace of version {VERSION}; save it again with this nbgraph.")
        scope = Scope(namespace or {}, tuple(allow), is_document=True, is_given=namespace is not None)
        return cls.from_dict(data, unbound(data["graph"], scope) if data["graph"] else None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], graph: Graph | None = None) -> Trace:
        """The trace that `to_dict` told of, of that graph."""
        is_marked = data.get("version", VERSION) != UNMARKED
        read = untold if is_marked else _itself
        frames = [_frame(row, read) for row in data["frames"]]
        event = _event(data["event"], read) if data.get("event") is not None else None
        answer, error = read(data["answer"]), _recorded(data["error"])
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
    return {**fields, "body": told(event.body), "key": told(event.key), "time": event.time.isoformat()}


def _event(document: Mapping[str, Any], read: Read) -> Event:
    values = {"body": read(document["body"]), "key": read(document["key"])}
    return Event(**{**document, **values, "time": datetime.fromisoformat(document["time"])})


def _itself(value: Any) -> Any:
    return value


def _recorded(error: Mapping[str, str] | None) -> RecordedError | None:
    return None if error is None else RecordedError(error["type"], error["message"])


def _frame(row: Mapping[str, Any], read: Read) -> Frame:
    inner = tuple([_frame(one, read) for one in row.get("inner", ())])
    values = {name: read(row[name]) for name in ("input", "output") if name in row}
    return Frame(**{**row, **values, "edges": tuple(row["edges"]), "error": _recorded(row["error"]), "inner": inner})
