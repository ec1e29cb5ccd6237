"""Session: a debugger driven by buttons: its moves are made on one thread, in order, so that the kernel stays free."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from nbgraph.debug.debugger import Debugger
from nbgraph.debug.frame import Frame
from nbgraph.errors import NbgraphError, StepError
from nbgraph.graph.scope import Scope
from nbgraph.widgets.live.step_record import first_line


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
        self._changed = changed
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="nbgraph-debug")

    def do(self, what: str, step: str = "", text: str = "", index: int = 0) -> Future[None]:
        """Carry out: next, over, into, out, back, start, to, continue, run_to, rerun, input, output, pin, unpin."""
        return self._worker.submit(self._carry_out, what, step, text, index)

    def pause(self) -> None:
        """Stop a run that is under way; taken at once, on the caller's thread."""
        self.debugger.pause()

    def stop(self) -> None:
        """Pause, and do nothing more."""
        self.is_stopped = True
        self.debugger.pause()
        self._changed()

    def close(self) -> None:
        self.debugger.pause()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _carry_out(self, what: str, step: str, text: str, index: int) -> None:
        if self.is_stopped:
            return
        self.problem, self.is_busy = "", True
        self._changed()
        try:
            self._move(what, step, text, index)
        except StepError:
            pass  # the debugger has it, and its frame shows it
        except NbgraphError as error:
            self.problem = str(error)
        except Exception as error:  # a value that can't be read, a name that isn't there
            self.problem = first_line(error)
        finally:
            self.is_busy = False
            self._changed()

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
