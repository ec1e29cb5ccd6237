"""Variables: the environment and the secrets of functions, as a person gives them: here, in a file, or as names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbgraph.capture.refusal import is_secret
from nbgraph.engine.context import RESERVED
from nbgraph.errors import DeployError

UNTOUCHED = ("PYTHONPATH", "PYTHONHOME")  # by which the image finds its packages
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)


def variables_of(given: Mapping[str, Any], where: str) -> dict[str, str]:
    """The environment as texts; None means what this process has under that name.

    >>> variables_of({"LEVEL": "debug", "LIMIT": 3}, "env")
    {'LEVEL': 'debug', 'LIMIT': '3'}
    """
    found = {}
    for name, value in given.items():
        if not _VARIABLE.fullmatch(name):
            raise DeployError(f'{where} has "{name}", which names no variable; expected letters, digits and _.')
        if name in UNTOUCHED:
            raise DeployError(f"{where} has {name}, by which an image finds its own packages; leave it out.")
        text = _taken(name, where) if value is None else value
        if isinstance(text, bool) or not isinstance(text, str | int | float) or "\0" in str(text):
            raise DeployError(f"{where}: {name} is a {type(text).__name__}; expected a text, a number, or None.")
        if is_secret(name, str(text)):
            raise DeployError(
                f"{where}: {name} looks like a secret, and an environment stands in files and labels that others read; "
                f'give it by secrets={{"{name}": None}}, which takes it from here; steps ask context.secret("{name}").'
            )
        found[name] = str(text)
    return found


def secrets_of(given: Any, where: str, *, are_values_needed: bool) -> dict[str, str]:
    """The secrets as texts; None means what this process has under that name, a Path the content of that file.

    An export keeps names alone, so there `are_values_needed` is false.
    """
    every = dict.fromkeys(given) if isinstance(given, list | tuple | set | frozenset) else given
    found = {}
    for name, value in every.items():
        if not isinstance(name, str) or not _SECRET.fullmatch(name):
            raise DeployError(f"{where} has {name!r}, which names no secret; expected letters, digits, _, - and dots.")
        if name in RESERVED:
            raise DeployError(f'{where} has "{name}", which is a secret of nbgraph\'s own; give yours another name.')
        if not isinstance(value, str | Path | None):
            raise DeployError(f'{where}: the value of "{name}" is no text; expected a text, a Path, or None.')
        found[name] = _secret(name, value, where) if are_values_needed else ""
    return found


def read_variables(path: Path, where: str) -> dict[str, str | None]:
    """The lines NAME=VALUE of a file; NAME alone means what this process has under that name."""
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(
            f"{where}: the file {path} can't be read: {getattr(error, 'strerror', None) or error}."
        ) from None
    found: dict[str, str | None] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not _SECRET.fullmatch(name.strip()):  # the line itself may be a secret, so it is not told
            raise DeployError(f"{where}: line {number} of {path} is not NAME=VALUE.")
        quoted = _QUOTED.fullmatch(value.strip())
        found[name.strip()] = (quoted[2] if quoted else value.strip()) if equals else None
    return found


def _secret(name: str, value: str | Path | None, where: str) -> str:
    if value is None:
        value = _taken(name, where)
    elif isinstance(value, Path):
        try:
            value = value.expanduser().read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise DeployError(f'{where}: the file of "{name}" can\'t be read: {reason}.') from None
    if not value or "\0" in value:
        raise DeployError(f'{where}: "{name}" is empty, or holds a NUL; give its text.')
    return value


def _taken(name: str, where: str) -> str:
    found = os.environ.get(name)
    if found is None:
        raise DeployError(f"{where}: {name} is to be taken from here, but the environment has none; set it first.")
    return found
