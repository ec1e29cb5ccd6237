"""A Trace: the frames of a run, to look through, to put into a table, to save."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.debug.frame import Frame, error_document
from nbgraph.errors import NbgraphError, RecordedError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.look import shown, speakable

if TYPE_CHECKING:
    import pandas

VERSION = 1
_OF_EVENT = ("body", "key", "id", "path", "method", "content_type", "time")  # headers may hold credentials


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
    ) -> None:
        self.frames = list(frames)
        self.graph, self.answer, self.error, self.event = graph, answer, error, event

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
        """The trace as plain data."""
        return {
            "version": VERSION,
            "graph": self.graph.to_dict() if self.graph is not None else None,
            "answer": self.answer,
            "error": error_document(self.error),
            "event": {name: getattr(self.event, name) for name in _OF_EVENT} if self.event is not None else None,
            "frames": [frame.to_dict() for frame in self.frames],
        }

    def to_json(self) -> bytes:
        """The trace as JSON; values that JSON does not know are kept as their text."""
        return msgspec.json.encode(self.to_dict(), enc_hook=as_text)

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
        """The trace of a file that `save` wrote."""
        try:
            data = msgspec.json.decode(Path(path).read_bytes())
        except msgspec.DecodeError as error:
            raise NbgraphError(f"{path} is not a saved trace: {error}.") from error
        if not isinstance(data, dict) or data.get("version") != VERSION:
            raise NbgraphError(f"{path} is not a trace of version {VERSION}; save it again with this nbgraph.")
        graph = Graph.from_dict(data["graph"], namespace=namespace or {}, allow=allow) if data["graph"] else None
        return cls.from_dict(data, graph)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], graph: Graph | None = None) -> Trace:
        """The trace that `to_dict` told of, of that graph."""
        frames = [_frame(row) for row in data["frames"]]
        event = _event(data["event"]) if data.get("event") is not None else None
        return cls(frames, graph=graph, answer=data["answer"], error=_recorded(data["error"]), event=event)

    def __repr__(self) -> str:
        steps = " -> ".join(frame.step for frame in self.frames[:12])
        more = f" … {len(self.frames) - 12} more" if len(self.frames) > 12 else ""
        error = f"; error: {self.error}" if self.error is not None else ""
        return f"<Trace of {len(self.frames)} frames: {steps}{more}{error}>"


def _event(told: Mapping[str, Any]) -> Event:
    return Event(**{**told, "time": datetime.fromisoformat(told["time"])})


def _recorded(error: Mapping[str, str] | None) -> RecordedError | None:
    return None if error is None else RecordedError(error["type"], error["message"])


def _frame(row: Mapping[str, Any]) -> Frame:
    inner = tuple(map(_frame, row.get("inner", ())))
    return Frame(**{**row, "edges": tuple(row["edges"]), "error": _recorded(row["error"]), "inner": inner})


def as_text(value: Any) -> Any:
    """A value JSON does not know: arrays and numbers of numpy as what they hold, everything else as its repr."""
    for method in ("item", "tolist"):
        convert = getattr(value, method, None)
        if callable(convert):
            try:
                return convert()
            except (ValueError, TypeError):
                continue
    return shown(value)
