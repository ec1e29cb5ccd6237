"""The text of the captured module: its statements, and the order in which they stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

LONGEST = 110  # characters of a line of `__all__`


@dataclass(frozen=True, slots=True)
class Definition:
    """One name's statement; `now` must stand before it, `later` anywhere; `is_data`: it stands at the module's head.

    One without a text is read together with another.
    """

    name: str
    text: str
    now: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    is_data: bool = False


def ordered(definitions: Mapping[str, Definition]) -> list[Definition]:
    """The definitions in an order that can run: what runs at import stands behind all that it may reach.

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
    """The name and all that a call of it may reach."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        reached = waiting.pop(0)
        if reached in definitions and reached not in found:
            found[reached] = None
            waiting += [*definitions[reached].now, *definitions[reached].later]
    return list(found)


@dataclass(slots=True)
class ModuleText:
    """What was written so far: lines of imports, statements by name; `modules` are those that the text imports.

    >>> text = ModuleText({"import math"}, {"area": Definition("area", "area = math.pi * 4")})
    >>> print(text.text("Areas.", {"area"}), end="")
    \"\"\"Areas.\"\"\"
    <BLANKLINE>
    import math
    <BLANKLINE>
    __all__ = ["area"]
    <BLANKLINE>
    <BLANKLINE>
    area = math.pi * 4
    """

    lines: set[str] = field(default_factory=set)
    definitions: dict[str, Definition] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    has_future_annotations: bool = False

    def text(self, title: str, exported: Iterable[str], artifacts: str = "") -> str:
        """The whole module: imports, data, then code; `artifacts` is the statement that defines how files are read."""
        written = [definition for definition in ordered(self.definitions) if definition.text]
        data = sorted((definition for definition in written if definition.is_data), key=lambda found: found.name)
        code = [definition for definition in written if not definition.is_data]
        future = "from __future__ import annotations\n\n" if self.has_future_annotations else ""
        blocks = [f'"""{title}"""\n', future + "".join(f"{line}\n" for line in self._sorted_lines())]
        blocks.append(artifacts)
        blocks.append(_all(sorted(exported)))
        blocks.append("".join(f"{definition.text}\n" for definition in data))
        head = "\n".join(block for block in blocks if block)
        return "\n\n".join([head, *(f"{definition.text}\n" for definition in code)])

    def _sorted_lines(self) -> list[str]:
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
