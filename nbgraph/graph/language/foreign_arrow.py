"""Lines that join steps by another language's arrow: `a >> b`, `a | b`, `a → b`, `a <- b`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nbgraph.graph.language.lexer import LogicalLine, Token

FOREIGN = ("→", "⟶", "➔", "=>", "<-", "-->", "~>")  # not Python between two names
OPERATORS = (">>", "|", "-")  # valid Python, but meaningless between functions


@dataclass(frozen=True, slots=True)
class ForeignArrow:
    """An arrow of another language: where it stands, and the names that it joins."""

    arrow: str
    offset: int
    names: tuple[str, ...]

    def is_sure(self, steps: Collection[str]) -> bool:
        """Whether the operands can only be steps, not numbers or sets."""
        return self.arrow in FOREIGN or all(name in steps for name in self.names)

    @property
    def message(self) -> str:
        written = f" {self.arrow} ".join(self.names)
        return f"found `{self.arrow}`; arrows are `->`: `{' -> '.join(self.names)}` and not `{written}`."


def foreign_arrow_of(line: LogicalLine) -> ForeignArrow | None:
    """The first foreign arrow of a line that holds nothing but steps and what stands between them.

    >>> from nbgraph.graph.language.lexer import lines
    >>> foreign_arrow_of(next(lines("clean >> score(3) >> save"))).names
    ('clean', 'score', 'save')
    >>> foreign_arrow_of(next(lines("total = a - b"))) is None
    True
    """
    names: list[str] = []
    arrows: list[tuple[str, int]] = []
    tokens = [token for token in line.tokens if not token.depth and token.kind not in ("open", "close")]
    place = 0
    while place < len(tokens):
        if len(names) == len(arrows):
            name, place = _name(tokens, place)
            if not name:
                return None
            names.append(name)
        else:
            arrow, after = _arrow(tokens, place)
            if not arrow:
                return None
            arrows.append((arrow, tokens[place].start))
            place = after
    return ForeignArrow(*arrows[0], tuple(names)) if arrows and len(names) > len(arrows) else None


def _name(tokens: list[Token], place: int) -> tuple[str, int]:
    """A dotted name and the place behind it."""
    text = ""
    while place < len(tokens) and tokens[place].kind == "word" and tokens[place].text.isidentifier():
        text += tokens[place].text
        place += 1
        if place + 1 >= len(tokens) or tokens[place].text != ".":
            break
        text += "."
        place += 1
    return text, place


def _arrow(tokens: list[Token], place: int) -> tuple[str, int]:
    """The arrow that begins here, of as many signs as stand together."""
    text = ""
    at = place
    while at < len(tokens) and tokens[at].kind in ("other", "arrow") and (at == place or _touch(tokens, at)):
        text += tokens[at].text
        at += 1
    return (text, at) if text in (*FOREIGN, *OPERATORS) else ("", place)


def _touch(tokens: list[Token], at: int) -> bool:
    return tokens[at].start == tokens[at - 1].end
