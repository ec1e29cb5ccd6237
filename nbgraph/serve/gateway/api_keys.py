"""API keys: kept as hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from nbgraph.serve.gateway.limits import Headers, RefusedError

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Keys:
    """The API keys of a deployment, one a line of a file; without any, everyone may call but pages of other sites.

    `origins` are the sites whose pages may.

    >>> keys = Keys(["s3cret"])
    >>> keys.check({"authorization": "Bearer s3cret"})
    >>> keys.check({})
    Traceback (most recent call last):
    nbgraph.serve.gateway.limits.RefusedError: This deployment wants a key: send the header "Authorization: Bearer KEY".
    """

    def __init__(self, keys: Sequence[str], origins: Sequence[str] = ()) -> None:
        self._origins = frozenset(origins)
        self._hashes = [hashlib.sha256(key.encode()).digest() for key in keys if key]

    @classmethod
    def of_file(cls, path: Path | None, origins: Sequence[str] = ()) -> Keys:
        return cls(path.read_text(encoding="utf-8").split() if path is not None and path.is_file() else [], origins)

    def check(self, headers: Headers) -> None:
        if not self._hashes:
            self._refuse_other_sites(headers)
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        found = hashlib.sha256(given.strip().encode()).digest()
        # All are compared, so that the time taken tells nothing of which one came close.
        known = [hmac.compare_digest(found, key) for key in self._hashes]
        if scheme.lower() != "bearer" or not any(known):
            raise RefusedError(401, 'This deployment wants a key: send the header "Authorization: Bearer KEY".')

    def _refuse_other_sites(self, headers: Headers) -> None:
        """Without a key, a web page from elsewhere must not reach a port on this machine through the user's browser."""
        origin = headers.get("origin")
        if origin is None or origin in self._origins or _host(origin) in LOOPBACK:
            return
        raise RefusedError(
            403, f"A page of {origin} may not call this deployment; deploy it with cors=[{origin!r}], or an api_key."
        )


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).hostname
    except ValueError:  # no URL: "http://["
        return None
