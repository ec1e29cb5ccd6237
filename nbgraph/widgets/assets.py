"""Assets: the JavaScript and CSS of a widget, from the files in `static/`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PICTURE = ("values.js", "theme.js", "shapes.js", "camera.js", "stage.js", "table.js", "bar.js")  # what all views have
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w.]+";\n', re.MULTILINE)
_REMARK = re.compile(r"^ *// .*\n", re.MULTILINE)  # every view of every notebook would carry them
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


@cache
def module(*names: str) -> str:
    """One ES module from several: a front end loads a widget's module alone, so what it imports is put before it.

    >>> "import {" in module("values.js", "theme.js")
    False
    """
    texts = [(STATIC / name).read_text(encoding="utf-8") for name in names]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _REMARK.sub("", text))) for text in texts)


@cache
def styles(*names: str) -> str:
    """The style sheets of these names, one after the other."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)
