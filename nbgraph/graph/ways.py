"""Ways: which steps lead to which, while arrows are drawn one by one."""

from __future__ import annotations

from nbgraph.types import EdgeKind


class Ways:
    """An arrow to a step that already leads to its source makes a cycle; errors lead somewhere too.

    >>> ways = Ways()
    >>> ways.kind("a", "b"), ways.draw("a", "b", EdgeKind.FLOW), ways.kind("b", "a").value
    (<EdgeKind.FLOW: 'flow'>, None, 'cycle')
    """

    def __init__(self) -> None:
        self._following: dict[str, list[str]] = {}

    def kind(self, source: str, target: str) -> EdgeKind:
        """What a plain arrow between the two would be."""
        return EdgeKind.CYCLE if self._leads(target, source) else EdgeKind.FLOW

    def draw(self, source: str, target: str, kind: EdgeKind) -> None:
        if kind is not EdgeKind.CYCLE:
            self._following.setdefault(source, []).append(target)

    def _leads(self, source: str, target: str) -> bool:
        seen, waiting = {source}, [source]
        while waiting:
            name = waiting.pop()
            if name == target:
                return True
            fresh = [after for after in self._following.get(name, ()) if after not in seen]
            seen.update(fresh)
            waiting += fresh
        return False
