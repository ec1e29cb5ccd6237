"""Printable: any name or value as one short line that is safe in XML, DOT and a terminal."""

from __future__ import annotations

import unicodedata

# They could reorder the text around them.
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str, limit: int = 0) -> str:
    r"""The text on one line, without control characters; cut to `limit` characters where one is given.

    >>> printable("two\nlines\x00"), printable("x" * 40, 8)
    ('two lines\ufffd', 'xxxxxxx…')
    """
    if limit:
        text = text[: limit * 4]  # a name of a megabyte is not looked at to its end
    line = " ".join(text.split())
    if not (line.isascii() and line.isprintable()):
        line = "".join(map(_shown, line))
    return f"{line[: limit - 1]}…" if limit and len(line) > limit else line


def _shown(character: str) -> str:
    if " " <= character <= "~":
        return character
    if ord(character) in _BIDI:
        return ""
    category = unicodedata.category(character)
    is_bad = category in ("Cc", "Cs", "Cn") or ord(character) in (0xFFFE, 0xFFFF)
    return _REPLACEMENT if is_bad else character
