"""DebugWidget: a debugged run in its picture: moves, a slider over what happened, edits, forks, pins, breakpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nbgraph.debug.debugger import Debugger
from nbgraph.debug.frame import Frame
from nbgraph.debug.step_path import INNER, groups_of, is_there
from nbgraph.render.printable import printable
from nbgraph.widgets.assets import PICTURE, module, styles
from nbgraph.widgets.debug.messages import frame_detail, frame_list, past_records, records, taken
from nbgraph.widgets.debug.session import DebugSession, value_of
from nbgraph.widgets.graph import CHANGED, GraphWidget, Message
from nbgraph.widgets.live.activity import ActivityChange
from nbgraph.widgets.live.step_record import StepRecord
from nbgraph.widgets.values.preview import shown


class DebugWidget(GraphWidget):
    """The view of a debugger. Moves that a cell makes on the same debugger are shown too.

    >>> from nbgraph import Graph
    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> widget = DebugWidget(graph.debug(" hi "))
    >>> widget.session.do("next").result()
    >>> widget.debugger.current.step
    'upper'
    >>> widget.close()
    """

    _esm = module(*PICTURE, "child.js", "panel.js", "dock.js", "moves.js", "forms.js", "debugger.js")
    _css = styles("graph.css", "debugger.css")

    def __init__(self, debugger: Debugger) -> None:
        self.debugger = debugger
        self.session = DebugSession(debugger, self._session_changed)
        self.watches: list[str] = []
        self._old: dict[str, Frame | None] = {}  # steps that were changed, and the frame they had then
        super().__init__(debugger.graph)
        self._remember()
        self.breakpoints = self._marked(debugger.breakpoints)

    def _remember(self) -> None:
        """Breakpoints and pins of a debugger before this one, as when its cell has run again."""
        debugger = self.debugger
        for name, breakpoint in self.monitor.breakpoints.items():
            if name not in debugger.breakpoints and is_there(debugger.graph, name):
                debugger.breakpoints[name] = replace(breakpoint, seen=0)
        for name, value in self.monitor.pins.items():
            if name not in debugger.pins and is_there(debugger.graph, name):
                debugger.pin(name, value)
        for name, breakpoint in debugger.breakpoints.items():
            self.monitor.break_at(name, breakpoint)

    def close(self) -> None:
        """Free everything, the thread of the session too."""
        self.session.close()
        super().close()

    def update(self, change: ActivityChange) -> None:
        """While a run is under way its steps are shown as they go; else the state of the debugger."""
        if self.session.is_busy:
            super().update(change)
        elif change.is_redrawn:
            self.redraw()
        else:
            self.breakpoints = self._marked(self.debugger.breakpoints)

    def send_status(self, change: ActivityChange) -> None:
        if self.session.is_busy:
            super().send_status(change)
        else:
            self.send_run()

    def refresh(self) -> None:
        """A cell has run: it may have changed functions, or made a move."""
        super().refresh()
        self.send_run()

    def mark_changed(self, steps: Sequence[str]) -> None:
        super().mark_changed(steps)
        self._old |= {name: self._last_frame(name) for name in steps}

    def _changed(self) -> dict[str, str]:
        """The steps that have not run again since their functions changed, with the reason."""
        self._old = {name: frame for name, frame in self._old.items() if self._last_frame(name) is frame}
        return dict.fromkeys(self._old, CHANGED)

    def _last_frame(self, step: str) -> Frame | None:
        frames = self.debugger.trace.by_step(step)
        return frames[-1] if frames else None

    def send_run(self) -> None:
        """Send the state of the run."""
        if self.session.is_busy:
            return
        frames = self.debugger.trace.frames
        self._send_picture(records(self.debugger, self._changed()), frames)
        self.send({"kind": "debug", **self._run_state(frames)})

    def _send_picture(self, found: Mapping[str, StepRecord], frames: Sequence[Frame]) -> None:
        """All steps and arrows, since where the run stood before it stands no more."""
        every = {**{name: StepRecord() for name in self._synced.ids}, **found}
        lines = {str(line["id"]): 0 for line in self._synced.data["lines"]}  # what was undone was not taken
        lines |= {line: count for ends, count in taken(frames).items() if (line := self._synced.line(*ends))}
        self.send({"kind": "status", "steps": self._synced.steps(every, every), "lines": lines, "running": False})

    def receive(self, message: Message) -> None:
        """Handle a message of the view; moves are made on the session's thread."""
        step = self._synced.names.get(str(message.get("step")), "")
        match message.get("kind"):
            case "do":
                given = str(message.get("text") or "")
                self.session.do(str(message.get("what")), self._path(message), given, int(message.get("index") or 0))
            case "pause":
                self.session.pause()
            case "stop":
                self.session.stop()
            case "frame":
                self._send_frame(int(message.get("index") or 0), message.get("branch"))
            case "inspect" if step:
                self._inspect(step)
            case "break" if step:
                self._break(self._path(message), message)
            case "mute":
                for breakpoint in self.debugger.breakpoints.values():
                    breakpoint.is_muted = bool(message.get("on"))
                self.send_run()
            case "watch":
                self.watches = [str(text)[:400] for text in message.get("texts") or []][:20]
                self.send_run()
            case _:
                super().receive(message)

    def value_at(self, of: Message) -> Any:
        """The value of a frame, of the one about to run where no index is given."""
        branches, index, branch = self.debugger.branches, of.get("index"), of.get("branch")
        frames: Sequence[Frame] = branches[branch].frames if isinstance(branch, int) else self.debugger.trace.frames
        frame = frames[index] if isinstance(index, int) else self.debugger.current
        return None if frame is None else frame.input if of.get("side") == "input" else frame.output

    def _session_changed(self) -> None:
        self.monitor.pins = self.debugger.pins
        if self.session.is_busy:
            self.send({"kind": "debug", "busy": True, "running": self._running()})
        else:
            self.send_run()

    def _running(self) -> Message | None:
        running = self.session.running
        return running and {**running, "step": printable(running["step"], 60)}

    def _run_state(self, frames: Sequence[Frame]) -> Message:
        debugger, current = self.debugger, self.debugger.current
        error, listing = debugger.error, frame_list(frames, self._synced.ids)
        return {
            "busy": False,
            "stopped": self.session.is_stopped,
            "at": self._synced.ids.get(debugger.at, ""),
            "current": self._current_frame(current) if current else None,
            "frames": listing,
            "skipped": len(frames) - len(listing),
            "finished": debugger.finished,
            "answer": shown(debugger.trace.answer),
            "error": printable(debugger.redaction.text(str(error)), 400) if error else "",
            "problem": self.session.problem,
            "branches": [{"step": printable(one.step, 60), "frames": len(one.frames)} for one in debugger.branches],
            "pins": [id for id in map(self._id, debugger.pins) if id],
            "breakpoints": self._breakpoints(),
            "watches": [[text, self._watch_value(text, current)] for text in self.watches],
        }

    def _breakpoints(self) -> Message:
        found = ((self._id(name), one) for name, one in self.debugger.breakpoints.items())
        return {
            id: {"when": one.text, "hits": one.hits, "on": one.on.value, "seen": one.seen, "muted": one.is_muted}
            for id, one in found
            if id
        }

    def _id(self, name: str) -> str:
        """The id of a step; of a call that a step makes, its path behind the id of the step. Empty where it is gone."""
        head = next((one for one in (name, *reversed(groups_of(name))) if one in self._synced.ids), None)
        return self._synced.ids[head] + name[len(head) :] if head is not None else ""

    def _path(self, message: Message) -> str:
        """The name of the step that a message is about, or of a call within it."""
        step, route = self._synced.names.get(str(message.get("step")), ""), str(message.get("route") or "")
        return f"{step}{INNER}{route}" if step and route else step

    def _current_frame(self, current: Frame) -> Message:
        """The frame that it stands before; `route` is the path of a call within a step."""
        detail = frame_detail(self.graph, current, None, inside=self.debugger.inside)
        return {**detail, "route": current.step[len(self.debugger.at) + 1 :]}

    def _watch_value(self, text: str, current: Frame | None) -> Message:
        value = current.input if current is not None else self.debugger.trace.answer
        try:
            return shown(value_of(text, value, self.graph.scope), 8_000)
        except Exception as error:  # an expression that does not fit this step's body
            return {"kind": "none", "text": f"{type(error).__name__}: {printable(str(error), 120)}"}

    def _send_frame(self, index: int, branch: Any) -> None:
        branches, main = self.debugger.branches, self.debugger.trace.frames
        is_fork = isinstance(branch, int) and 0 <= branch < len(branches)
        frames: Sequence[Frame] = branches[branch].frames if is_fork else main
        if not 0 <= index < len(frames):
            return
        frame = frames[index]
        if is_fork or index < len(frames) - 1 or self.debugger.current is not None:
            self._send_picture(past_records(frames[: index + 1]), frames[: index + 1])
        same = [one for one in main if (one.step, one.visit) == (frame.step, frame.visit)] if is_fork else []
        step = self._synced.ids.get(frame.step, "")
        detail = frame_detail(self.graph, frame, index, same[-1] if same else None)
        self.send({"kind": "frame", "step": step, "branch": branch if is_fork else None, **detail})

    def _inspect(self, step: str) -> None:
        """The step's last frame; where it stands, the one about to run; a bare step where it has not run."""
        current = self.debugger.current
        indices = [index for index, frame in enumerate(self.debugger.trace.frames) if frame.step == step]
        if current is not None and self.debugger.at == step:
            detail = self._current_frame(current)
        elif indices:
            detail = frame_detail(self.graph, self.debugger.trace.frames[indices[-1]], indices[-1])
        else:
            detail = {**frame_detail(self.graph, Frame("", step, 0, None), None), "input": None, "text": ""}
        self.send({"kind": "frame", "step": self._synced.ids[step], "branch": None, **detail})

    def _break(self, step: str, message: Message) -> None:
        """Set or clear a breakpoint; with a form's fields where they were given."""
        is_set = bool(message.get("on"))
        self.session.problem = ""
        try:
            if is_set:
                hits = int(message.get("hits") or 1)
                self.debugger.break_at(step, message.get("when") or None, hits, str(message.get("at") or "before"))
            else:
                self.debugger.clear(step)
            self.monitor.break_at(step, self.debugger.breakpoints.get(step))
        except Exception as error:  # a condition that does not parse
            self.session.problem = printable(str(error), 400)
        self.breakpoints = self._marked(self.debugger.breakpoints)
        self.send_run()
