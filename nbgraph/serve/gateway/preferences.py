"""Preferences: a caller's deadline, whether to wait for the answer, and the key by which a request is repeated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from nbgraph.serve.gateway.limits import RefusedError

PREFER, TIMEOUT, KEY = "prefer", "x-request-timeout", "idempotency-key"
LONGEST_KEY = 255  # characters


class Preferences(NamedTuple):
    """`seconds`: how long the caller waits; `is_async`: he comes back for the answer; `key`: the request's own name."""

    seconds: float | None = None
    is_async: bool = False
    key: str | None = None


NONE = Preferences()


def wish_of(headers: Mapping[str, str]) -> Preferences:
    """What the headers ask for.

    >>> wish_of({"prefer": "respond-async, wait=5", "idempotency-key": '"a1"'})
    Preferences(seconds=5.0, is_async=True, key='a1')
    >>> wish_of({}) is NONE
    True
    """
    prefer, timeout, key = headers.get(PREFER), headers.get(TIMEOUT), headers.get(KEY)
    if prefer is None and timeout is None and key is None:
        return NONE
    preferences = _preferences(prefer or "")
    seconds = _seconds(timeout) if timeout is not None else _wait(preferences.get("wait"))
    return Preferences(seconds, "respond-async" in preferences, _key(key) if key is not None else None)


def _preferences(text: str) -> dict[str, str]:
    """Preferences by name, as RFC 7240 writes them; their parameters are left out."""
    found = [preference.partition(";")[0].partition("=") for preference in text.split(",")]
    return {name.strip().lower(): value.strip(' "') for name, _, value in found}


def _wait(text: str | None) -> float | None:
    """Seconds; a preference that makes no sense is one that nobody has."""
    return float(text) if text is not None and text.isdigit() and int(text) > 0 else None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise RefusedError(400, f'X-Request-Timeout is "{text[:50]}"; expected seconds, such as 2.5.')
    return seconds


def _key(text: str) -> str:
    key = text.strip().removeprefix('"').removesuffix('"')
    if not 0 < len(key) <= LONGEST_KEY:
        raise RefusedError(400, f"Idempotency-Key has {len(key)} characters; expected 1 to {LONGEST_KEY}.")
    return key
