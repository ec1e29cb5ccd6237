"""RedisDriver: the rows of a table in Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from nbgraph.steps.package import package
from nbgraph.steps.table_sqlite import key_from, key_text


@dataclass(eq=False)
class RedisDriver:
    """Rows in Redis, as JSON under `<prefix><key>`; `expire_seconds` lets a row go so long after it was written.

    >>> driver = RedisDriver("redis://127.0.0.1:6379/0", prefix="customers:")
    >>> driver.prefix
    'customers:'
    """

    io: ClassVar[str] = "databases"

    url: str = "redis://127.0.0.1:6379/0"
    prefix: str = "nbgraph:"
    expire_seconds: int | None = None
    _client: Any = field(default=None, init=False, repr=False)

    def get(self, key: Any, default: Any = None) -> Any:
        found = self._open().get(self._name(key))
        return default if found is None else msgspec.json.decode(found)

    def put(self, rows: Mapping[Any, Any]) -> None:
        with self._open().pipeline(transaction=True) as pipeline:
            for key, row in rows.items():
                pipeline.set(self._name(key), msgspec.json.encode(row), ex=self.expire_seconds)
            pipeline.execute()

    def delete(self, key: Any) -> bool:
        return bool(self._open().delete(self._name(key)))

    def keys(self) -> Iterator[Any]:
        escaped = "".join(f"\\{letter}" if letter in "*?[]^\\" else letter for letter in self.prefix)
        for name in self._open().scan_iter(match=f"{escaped}*", count=1000):
            yield key_from(name[len(self.prefix.encode()) :])

    def flush(self) -> None:
        """Every put is sent at once; nothing waits."""

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _name(self, key: Any) -> str:
        return self.prefix + key_text(key)

    def _open(self) -> Any:
        """The client, made when it is first needed; it is safe to use from many threads."""
        if self._client is None:
            self._client = package("redis", "RedisDriver").Redis.from_url(self.url)
        return self._client
