"""Session: a debugger driven by buttons: its moves are made on one thread, in order, so that the kernel stays free.

A step that takes long is told of, once a second, and can be stopped: by the view, and by the notebook's interrupt.
"""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from nbgraph.debug.debugger import Debugger
from nbgraph.debug.frame import Frame
from nbgraph.engine.interruptible import InterruptibleCalls, StepThread
from nbgraph.errors import NbgraphError, StepError
from nbgraph.graph.scope import Scope
from nbgraph.widgets.debug.interrupt import KernelInterrupt
from nbgraph.widgets.live.step_record import first_line
from nbgraph.widgets.values.step_detail import line_of

TELL = 1.0  # seconds between two words about a step that runs


class DebugSession:
    """Commands for a debugger; `problem` is what went wrong with the last one.

    >>> from nbgraph import Graph
    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> session = DebugSession(graph.debug(" hi "), lambda: None)
    >>> session.do("next").result()
    >>> session.debugger.current.step
    'upper'
    >>> session.close()
    """

    def __init__(self, debugger: Debugger, changed: Callable[[], None]) -> None:
        self.debugger = debugger
        self.problem = ""
        self.is_busy = False
        self.is_stopped = False
        self.calls = InterruptibleCalls()
        debugger.make_calls_by(self.calls)
        self._changed = changed
        self._thread = StepThread("nbgraph-debug")
        self._interrupt = KernelInterrupt(self.calls.interrupt)

    def do(self, what: str, step: str = "", text: str = "", index: int = 0) -> Future[None]:
        """Carry out: next, over, into, out, back, start, to, continue, run_to, rerun, input, output, pin, unpin."""
        self._interrupt.listen()
        return self._thread.submit(self._carry_out, what, step, text, index)

    def pause(self) -> None:
        """Stop a run that is under way; taken at once, on the caller's thread."""
        self.debugger.pause()

    def stop(self) -> None:
        """While a step runs, end it: the run stands before it again. Else do nothing more."""
        self.debugger.pause()
        if self.is_busy:
            self.calls.interrupt()
        else:
            self.is_stopped = True
            self._changed()

    def close(self) -> None:
        self.debugger.pause()
        self.is_stopped = True
        self.calls.close()
        self._interrupt.ignore()
        self._thread.end()

    def _carry_out(self, what: str, step: str, text: str, index: int) -> None:
        if self.is_stopped:
            return
        self.calls.begin()
        self.problem, self.is_busy = "", True
        self._changed()
        self._tell_again()
        try:
            self._move(what, step, text, index)
        except KeyboardInterrupt:
            self.problem = f'Stopped: the run stands before "{self.debugger.at}" again.'
        except StepError:
            pass  # the debugger has it, and its frame shows it
        except NbgraphError as error:
            self.problem = str(error)
        except Exception as error:  # a value that can't be read, a name that isn't there
            self.problem = first_line(error)
        finally:
            self.is_busy = False
            self._interrupt.ignore()
            self._changed()

    @property
    def running(self) -> dict[str, Any] | None:
        """The step whose call takes long, for how many seconds by now, and in which line; None without one."""
        seconds = self.calls.seconds
        if seconds < TELL:
            return None
        frame = self.calls.frame
        return {"step": self.debugger.at, "seconds": int(seconds), "line": line_of(frame) if frame else ""}

    def _tell_again(self) -> None:
        """Once a second, as long as a move is under way."""
        timer = threading.Timer(TELL, self._tell)
        timer.daemon = True
        timer.start()

    def _tell(self) -> None:
        if self.is_busy and not self.is_stopped:
            self._changed()
            self._tell_again()

    def _move(self, what: str, step: str, text: str, index: int) -> None:
        debugger = self.debugger
        match what:
            case "next":
                debugger.next()
            case "into":
                debugger.into()
            case "over":
                debugger.over()
            case "out":
                debugger.out()
            case "back":
                debugger.back()
            case "start":
                debugger.back_to(0)
            case "to":
                debugger.back_to(index)
            case "continue":
                debugger.resume()
            case "run_to":
                debugger.run_to(step)
            case "rerun":
                debugger.rerun(step)
            case "output":
                debugger.set_output(value_of(text, _output(debugger.last), debugger.graph.scope))
            case "input":
                debugger.set_input(value_of(text, _input(debugger.current), debugger.graph.scope))
            case "pin":
                self._pin(step, text)
            case "unpin":
                debugger.unpin(step)

    def _pin(self, step: str, text: str) -> None:
        frames = _calls(self.debugger, step)
        last = frames[-1].output if frames else None
        if not text and not frames:
            raise NbgraphError(f'Step "{step}" has not run yet, so there is no output to pin; give a value for it.')
        self.debugger.pin(step, value_of(text, last, self.debugger.graph.scope) if text else last)


def value_of(text: str, current: Any, scope: Scope) -> Any:
    """What a person typed: a Python literal, JSON, or an expression in which `event` is the value as it is.

    >>> value_of('{"a": true}', None, Scope()), value_of("{**event, 'b': 2}", {"a": 1}, Scope())
    ({'a': True}, {'a': 1, 'b': 2})
    """
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        pass
    try:
        return json.loads(text)
    except ValueError:
        return eval(text.strip(), dict(scope.namespace), {"event": current})


def _calls(debugger: Debugger, step: str) -> list[Frame]:
    """The calls of a step, or of a route, so far."""
    made = [one for frame in debugger.trace.frames for one in (frame, *frame.inner)]
    return [one for one in (*made, *debugger.inside) if one.step == step]


def _output(frame: Frame | None) -> Any:
    return None if frame is None else frame.output


def _input(frame: Frame | None) -> Any:
    return None if frame is None else frame.input
