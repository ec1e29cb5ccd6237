"""Chain: edges, in their order, as few arrow lines as read well."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nbgraph.graph.edge import Edge


@dataclass
class Chain:
    """One arrow line: groups of names, and what is said of the last arrow."""

    groups: list[list[str]]
    ending: str = ""


@dataclass
class Chains:
    """Joins edges greedily: `a -> b`, `b -> c` become `a -> b -> c`, `a -> b`, `a -> c` become `a -> [b, c]`.

    >>> edges = [Edge("a", "b"), Edge("b", "c"), Edge("b", "d"), Edge("c", "e"), Edge("d", "e")]
    >>> [chain.groups for chain in Chains(edges, [""] * 5, {name: at for at, name in enumerate("abcde")}).all()]
    [[['a'], ['b'], ['c', 'd'], ['e']]]

    `endings` says of each edge what must stand behind it; an edge with an ending ends its line. `positions` is the
    order of the steps, which joining must not disturb.
    """

    edges: Sequence[Edge]
    endings: Sequence[str]
    positions: Mapping[str, int]
    alone: Collection[str] = ()  # sources that share no line with others
    _at: int = 0
    _mentioned: set[str] = field(default_factory=set)

    def all(self) -> list[Chain]:
        found: list[Chain] = []
        while self._at < len(self.edges):
            found.append(self._chain())
        return found

    def _chain(self) -> Chain:
        edge, ending = self.edges[self._at], self.endings[self._at]
        if ending:
            self._at += 1
            return self._mention(Chain([[edge.source], [edge.target]], ending))
        chain = self._mention(Chain(self._block()))
        while (targets := self._next(chain.groups[-1])) is not None:
            self._mention(Chain([targets]))
            chain.groups.append(targets)
        if chain.groups[-1] == [self._source()] and self.endings[self._at].startswith(" max"):
            chain.groups.append([self.edges[self._at].target])
            chain.ending = self.endings[self._at]
            self._at += 1
        return self._mention(chain)

    def _block(self) -> list[list[str]]:
        """Sources and targets of the arrows that begin here, each source to each target."""
        targets = self._run()
        sources = [self._source()]
        self._at += len(targets)
        while (
            sources[0] not in self.alone
            and self._source() not in self.alone
            and self._run() == targets
            and self._is_in_order(self._source(), targets)
            and self._source() not in sources
        ):
            sources.append(self._source())
            self._at += len(targets)
        return [sources, targets]

    def _next(self, sources: list[str]) -> list[str] | None:
        """The targets that all these sources send to next, one source after the other."""
        begin, targets = self._at, self._run()
        for source in sources:
            if not targets or self._source() != source or self._run()[: len(targets)] != targets:
                self._at = begin
                return None
            self._at += len(targets)
        return targets

    def _run(self) -> list[str]:
        """The targets of the plain arrows that leave the same source here."""
        targets: list[str] = []
        for number in range(self._at, len(self.edges)):
            edge = self.edges[number]
            if self.endings[number] or edge.source != self._source() or edge.target in targets:
                break
            targets.append(edge.target)
        return targets

    def _source(self) -> str:
        return self.edges[self._at].source if self._at < len(self.edges) else ""

    def _is_in_order(self, source: str, targets: list[str]) -> bool:
        """Whether the source may be mentioned before the targets."""
        new = [self.positions[name] for name in targets if name not in self._mentioned]
        return source in self._mentioned or all(self.positions[source] < position for position in new)

    def _mention(self, chain: Chain) -> Chain:
        self._mentioned.update(name for group in chain.groups for name in group)
        return chain
