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
# What a part of a variable's name says of a secret; the latter words are less sure.
_HIDDEN = re.compile(r"(?:db|user|my)?(?:password|passwd|passphrase|pwd|secret|credential)s?")
_LIKELY = re.compile(r"(?:api|access|auth|private|secret)?(?:key|token)|dsn|(?:api|access)keys")
_PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_.-]+")
# What the last part says where the text tells of a secret, and is none.
_ABOUT = re.compile(
    "column|count|dir|endpoint|expiry|field|file|format|header|host|id|kind|length|limit|name|path|port|prefix|seconds|"
    "size|ttl|type|uri|url"
)
_PLAIN = re.compile(r"[+-]?\d+(?:\.\d+)?|true|false|yes|no|on|off|", re.IGNORECASE)
_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)


class Public(str):
    """The text of a variable whose name sounds like a secret's, and that is none.

    >>> variables_of({"SORT_KEY": Public("day")}, "env")
    {'SORT_KEY': 'day'}
    """

    __slots__ = ()


def sounds_secret(name: str, text: str) -> bool:
    """Whether a variable seems to hold a secret, by its name or by the form of its text.

    >>> [name for name in ("shop_key", "API_KEY", "apikey", "dbPassword", "SENTRY_DSN") if sounds_secret(name, "x")]
    ['shop_key', 'API_KEY', 'apikey', 'dbPassword', 'SENTRY_DSN']
    >>> [name for name in ("KEYBOARD", "MONKEY", "KEY_FILE", "TOKENIZER") if sounds_secret(name, "x")]
    []
    >>> sounds_secret("MAX_TOKEN", "512"), sounds_secret("DB_PASSWORD", "512")
    (False, True)
    """
    parts = [part for part in _PARTS.split(name) if part]
    words = [part.lower() for part in parts]
    is_hidden = name != "PWD" and any(map(_HIDDEN.fullmatch, words))
    is_likely = not _PLAIN.fullmatch(text) and any(map(_LIKELY.fullmatch, words))
    return ((is_hidden or is_likely) and not _ABOUT.fullmatch(words[-1])) or is_secret(name, text)


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
        if not isinstance(text, Public) and sounds_secret(name, str(text)):
            raise DeployError(
                f"{where}: {name} looks like a secret, and an environment stands in files and labels that others read; "
                f'give it by secrets={{"{name}": None}}, which takes it from here; steps ask context.secret("{name}"), '
                f"and packages find it in their environment all the same. If it is none, say so: "
                f'from nbgraph import Public; env={{"{name}": Public("...")}}.'
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
