"""StorePlace: where a store is, as plain data that may stand in images and files; its passwords stand elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from nbgraph.engine.context import Context

SECRET = re.compile("secret|token|key|passw|credential", re.IGNORECASE)
Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class StorePlace:
    """Where a store is: all that a set or a vector keeps of it, so that both are plain data wherever they go.

    What is secret in the address of the online rows, or in the options of an object store, is a secret of the name
    `secret`: in this process's environment, a file in a container.

    >>> place = StorePlace.of("/features", "redis://:hush@cache:6379/0", {})
    >>> place.online, place.secret[:9], place.access()[0]
    ('redis://cache:6379/0', 'features_', 'redis://:hush@cache:6379/0')
    """

    path: str
    online: Any
    options: Options = ()
    secret: str | None = None

    @classmethod
    def of(cls, path: str, online: Any, options: Mapping[str, str]) -> StorePlace:
        """The place of a store; what is secret goes to the environment, where processes begun here find it."""
        public = _public(online) if isinstance(online, str) else online
        shown = tuple(sorted((name, value) for name, value in options.items() if not SECRET.search(name)))
        if public == online and len(shown) == len(options):
            return cls(path, online, shown)
        name = f"features_{hashlib.sha256(repr((path, public, shown)).encode()).hexdigest()[:12]}"
        os.environ[name] = json.dumps({"online": online, "options": dict(options)})
        return cls(path, public, shown, name)

    def access(self) -> tuple[Any, dict[str, str]]:
        """The whole address of the online rows, and all options."""
        if self.secret is None:
            return self.online, dict(self.options)
        told = json.loads(Context("features", self.path).secret(self.secret))
        return told["online"], told["options"]

    @property
    def is_file(self) -> bool:
        """Whether the online rows are a file of this machine."""
        return self.online is None

    @property
    def packages(self) -> tuple[str, ...]:
        """Modules that the online rows are read by."""
        scheme = self.online.partition(":")[0] if isinstance(self.online, str) else ""
        if scheme.startswith("postgresql"):
            return ("sqlalchemy", "psycopg")
        return ("redis",) if scheme in ("redis", "rediss", "unix") else ()

    def __str__(self) -> str:
        return self.path


def _public(url: str) -> str:
    """An address without its password.

    >>> _public("postgresql://ann:hush@db/x?sslpassword=hush&connect_timeout=3")
    'postgresql://ann@db/x?connect_timeout=3'
    """
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    asked = parse_qsl(parts.query, keep_blank_values=True)
    shown = [(name, value) for name, value in asked if not SECRET.search(name)]
    if not password and len(shown) == len(asked):
        return url
    netloc = f"{user}@{host}" if user else host
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(shown), parts.fragment))
