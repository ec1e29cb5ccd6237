"""Assets: the JavaScript and CSS of a widget, from the files in `static/`.

Every view of a notebook carries its whole module, so it is packed: what it carries is a loader that unpacks it.
"""

from __future__ import annotations

import base64
import gzip
import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
# What all views have.
PICTURE = ("values.js", "theme.js", "link.js", "shapes.js", "camera.js", "stage.js", "table.js", "bar.js")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w.]+";\n', re.MULTILINE)
# What no browser needs, and every view of every notebook would carry: remarks, types, white space.
_REMARK = re.compile(r"^ *// .*\n|^ *//\n", re.MULTILINE)
_TYPES = re.compile(r"/\*\*.*?\*/\s*", re.DOTALL)
_ASIDE = re.compile(r"(?<=[;{},)\]]) // .*$", re.MULTILINE)
_INDENT = re.compile(r"^ +", re.MULTILINE)
_BREAK = re.compile(r"(?<=[,;({\[\n])\n+|^\n+")
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


@cache
def module(*names: str) -> str:
    """The ES module of a widget as a front end is sent it.

    >>> len(module("values.js", "theme.js")) < len(joined("values.js", "theme.js"))
    True
    """
    packed = base64.b64encode(gzip.compress(joined(*names).encode(), mtime=0)).decode()
    return _bare((STATIC / "loader.js").read_text(encoding="utf-8")).replace("PACKED", packed)


@cache
def joined(*names: str) -> str:
    """One ES module from several: a front end loads a widget's module alone, so what it imports is put before it.

    >>> "import {" in joined("values.js", "theme.js")
    False
    """
    return "\n".join(_bare((STATIC / name).read_text(encoding="utf-8")) for name in names)


@cache
def styles(*names: str) -> str:
    """The style sheets of these names, one after the other."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


def _bare(text: str) -> str:
    for pattern in (_TYPES, _REMARK, _ASIDE, _IMPORT, _EXPORT, _INDENT, _BREAK):
        text = pattern.sub("", text)
    return text
