"""A Failure: an event that no handler could save, as a deployment kept it, ready for the debugger."""

from __future__ import annotations

from typing import Any


class Failure(dict[str, Any]):
    """`event` as it came, the `step` that failed, its `error`, the `trace` recorded before it, the `time`.

    Its items are attributes too. `input` is what the step that failed got, where that was kept.

    >>> from nbgraph import Event
    >>> calls = [{"step": "inverse", "input": 0}]
    >>> failure = Failure(event=Event(1), step="inverse", error="by zero", trace=calls, time=0.0)
    >>> failure.step, failure.input
    ('inverse', 0)
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a failure has no {name!r}; it has: {', '.join(self)}") from None

    @property
    def input(self) -> Any:
        """The body that the step got; the event's own where nothing was recorded on the way."""
        if "input" in self:
            return self["input"]
        calls = [call for call in self["trace"] if isinstance(call, dict) and call.get("step") == self["step"]]
        return calls[-1]["input"] if calls else self["event"].body
