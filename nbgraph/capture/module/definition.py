"""Definitions: the statements of the captured module, and the order in which they must stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """One name's statement; `now` must stand before it, `later` anywhere; `is_data` belongs at the module's head."""

    name: str
    text: str
    now: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    is_data: bool = False


def ordered(definitions: Mapping[str, Definition]) -> list[Definition]:
    """The definitions as they can run: what runs at import has all that it may reach before it.

    >>> helper, main = Definition("helper", "", later=("K",)), Definition("main", "", now=("helper",))
    >>> [found.name for found in ordered({"main": main, "helper": helper, "K": Definition("K", "")})]
    ['helper', 'K', 'main']
    """
    placed: dict[str, Definition] = {}
    begun: set[str] = set()
    # An explicit stack, since a notebook's chain of helpers may be deeper than Python's own.
    for root in definitions:
        work = [(root, False)]
        while work:
            name, is_ready = work.pop()
            definition = definitions.get(name)
            if definition is None or name in placed:
                continue
            if is_ready:
                placed[name] = definition
                work += _todo(definition.later)
            elif name not in begun:
                begun.add(name)
                reached = [found for needed in definition.now for found in _reached(needed, definitions)]
                work += [(name, True), *_todo(reached)]
    return list(placed.values())


def _todo(names: Iterable[str]) -> list[tuple[str, bool]]:
    return [(name, False) for name in reversed(list(names))]


def _reached(name: str, definitions: Mapping[str, Definition]) -> list[str]:
    """The name and all that a call of it may come to."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        reached = waiting.pop(0)
        if reached in definitions and reached not in found:
            found[reached] = None
            waiting += [*definitions[reached].now, *definitions[reached].later]
    return list(found)


# Layout: the order in which a module is read: imports, data, then code.


LONGEST = 110


@dataclass(frozen=True, slots=True)
class ModuleOrder:
    """What stands around the definitions: lines of imports, the names that the graph uses, how artifacts are read.

    >>> print(ModuleOrder({"import math"}, {"area"}).text("Areas.", [Definition("area", "area = math.pi * 4")]), end="")
    \"\"\"Areas.\"\"\"
    <BLANKLINE>
    import math
    <BLANKLINE>
    __all__ = ["area"]
    <BLANKLINE>
    <BLANKLINE>
    area = math.pi * 4
    """

    lines: Iterable[str]
    exported: Iterable[str]
    artifacts: str = ""  # the statement that makes what reads them
    has_future_annotations: bool = False

    def text(self, title: str, definitions: Sequence[Definition]) -> str:
        """The whole module; `definitions` stand behind those that they need."""
        told = [definition for definition in definitions if definition.text]  # others are read together with one
        data = sorted((definition for definition in told if definition.is_data), key=lambda found: found.name)
        code = [definition for definition in told if not definition.is_data]
        future = "from __future__ import annotations\n\n" if self.has_future_annotations else ""
        blocks = [f'"""{title}"""\n', future + "".join(f"{line}\n" for line in self._head())]
        blocks.append(self.artifacts)
        blocks.append(_all(sorted(self.exported)))
        blocks.append("".join(f"{definition.text}\n" for definition in data))
        head = "\n".join(block for block in blocks if block)
        return "\n\n".join([head, *(f"{definition.text}\n" for definition in code)])

    def _head(self) -> list[str]:
        """Imports in groups of one order, then names taken from what they bring."""
        return sorted(
            self.lines, key=lambda line: (["import", "from"].index(line.split()[0]) if " = " not in line else 2, line)
        )


def _all(names: Sequence[str]) -> str:
    """`__all__`, on one line where it fits; nothing where the graph names nothing."""
    if not names:
        return ""
    quoted = [f'"{name}"' for name in names]
    line = f"__all__ = [{', '.join(quoted)}]\n"
    return line if len(line) <= LONGEST else "__all__ = [\n" + "".join(f"    {name},\n" for name in quoted) + "]\n"
