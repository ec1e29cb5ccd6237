"""RedisDriver: the rows of a table in Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nbgraph.steps.optional import package
from nbgraph.steps.tables.codec import former_texts, key_from, key_text, row_bytes, row_from
from nbgraph.steps.tables.table import ABOUT
from nbgraph.types import Section

__all__ = ["RedisDriver"]


@dataclass(eq=False)
class RedisDriver:
    """Rows in Redis under `<prefix><key>`; rows expire `expire_seconds` after the last write.

    >>> driver = RedisDriver("redis://127.0.0.1:6379/0", prefix="customers:")
    >>> driver.prefix
    'customers:'

    Rows are encoded as queues encode values, so they come back unchanged; keys are JSON where that is exact. Rows
    written as JSON are read too.

    Parameters
    ----------
    url
        Address, `"redis://host:6379/0"`.
    prefix
        Prefix of the keys.
    expire_seconds
        Seconds after the last write in which a row is forgotten; None: never.
    """

    section: ClassVar[Section] = Section.TABLES
    io: ClassVar[str] = "databases"

    url: str = "redis://127.0.0.1:6379/0"
    prefix: str = "nbgraph:"
    expire_seconds: int | None = None
    _client: Any = field(default=None, init=False, repr=False)

    def get(self, key: Any, default: Any = None) -> Any:
        found = self._open().mget(self._names(key))
        return next((row_from(row) for row in found if row is not None), default)

    def put(self, rows: Mapping[Any, Any]) -> None:
        written = [(key, self._names(key), row_bytes(row, key, self)) for key, row in rows.items()]
        with self._open().pipeline(transaction=True) as pipeline:
            for key, (name, *formers), row in written:
                pipeline.set(name, row, ex=None if key == ABOUT else self.expire_seconds)
                if formers:
                    pipeline.delete(*formers)
            pipeline.execute()

    def delete(self, key: Any) -> bool:
        return bool(self._open().delete(*self._names(key)))

    def keys(self) -> Iterator[Any]:
        escaped = "".join(f"\\{letter}" if letter in "*?[]^\\" else letter for letter in self.prefix)
        for name in self._open().scan_iter(match=f"{escaped}*", count=1000):
            yield key_from(name[len(self.prefix.encode()) :])

    def flush(self) -> None:
        """Nothing to do: every put is sent at once."""

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _names(self, key: Any) -> list[str]:
        """The names under which a row may be stored; the first is used for writing."""
        return [self.prefix + text for text in (key_text(key), *former_texts(key))]

    def _open(self) -> Any:
        """The client, created lazily; it is thread-safe."""
        if self._client is None:
            self._client = package("redis", "RedisDriver").Redis.from_url(self.url)
        return self._client
