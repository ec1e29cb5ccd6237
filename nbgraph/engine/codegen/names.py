"""Identifiers: the Python names that generated functions use for steps, conditions and variables."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable

# Names that the generated code itself uses.
RESERVED = frozenset(
    [
        "event", "item", "answers", "error", "events", "failed", "part", "put", "passed", "every", "handle",
        "handler", "result", "locals", "bool", "Exception", "type", "RAW", "body_of", "own", "copied", "SCALARS", "len",
    ]
)  # fmt: skip  # a set that reads better in rows


class Identifiers:
    """A unique name for each step and for whatever else a function needs.

    >>> words = Identifiers(["clean", "<lambda>", "event"])
    >>> words.step("clean"), words.step("<lambda>"), words.step("event"), words.made("clean", "whole")
    ('clean', 'step_1', 'step_2', 'clean_whole')
    """

    def __init__(self, steps: Iterable[str]) -> None:
        self._taken = set(RESERVED)
        self._words: dict[tuple[str, ...], str] = {}
        self._numbers = {name: number for number, name in enumerate(steps)}
        for name in self._numbers:  # steps first, so that they get their names unchanged
            self.step(name)

    def step(self, name: str) -> str:
        """The step's own name where it is usable."""
        return self._word((name,), name if _is_usable(name, self._taken) else f"step_{self._numbers[name]}")

    def made(self, step: str, *what: str) -> str:
        """A name beside the step's: `clean_whole`."""
        return self._word((step, "", *what), "_".join([self.step(step), *what]))

    def arrow(self, source: str, target: str, number: int) -> str:
        """A name for the condition of an arrow: `clean_to_score`."""
        return self._word((source, "", target, str(number)), f"{self.step(source)}_to_{self.step(target)}")

    def between(self, source: str, target: str) -> str:
        """A name for what is told of an edge; one by which events enter or leave has one end."""
        ends = [self.step(name) if name else "outside" for name in (source, target)]
        return self._word(("", source, "", target), f"tell_{ends[0]}_to_{ends[1]}")

    def before(self, what: str, step: str) -> str:
        """A name with a prefix: `from_clean`."""
        return self._word((what, step, ""), f"{what}_{self.step(step)}")

    def entry(self, graph: str) -> str:
        """The name of the entry function: the graph's."""
        return self._word(("", graph), graph if _is_usable(graph, self._taken) else "graph")

    def _word(self, key: tuple[str, ...], wish: str) -> str:
        found = self._words.get(key)
        if found is None:
            found = wish
            while found in self._taken:
                found += "_"
            self._taken.add(found)
            self._words[key] = found
        return found


def _is_usable(name: str, taken: set[str]) -> bool:
    is_name = name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and not name.startswith("_")
    return is_name and not hasattr(builtins, name) and name not in taken
