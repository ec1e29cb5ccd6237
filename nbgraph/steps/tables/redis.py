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
    """Rows in Redis under `<prefix><key>`; `expire_seconds` lets a row go so long after it was written.

    >>> driver = RedisDriver("redis://127.0.0.1:6379/0", prefix="customers:")
    >>> driver.prefix
    'customers:'

    A row comes back as what it was put as, since it is written as queues write what they carry; keys are JSON, where
    that can tell them apart. Rows that were written as JSON are read too.

    Parameters
    ----------
    url
        Address, `"redis://host:6379/0"`.
    prefix
        Begin of the keys.
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
        """Every put is sent at once; nothing waits."""

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _names(self, key: Any) -> list[str]:
        """Where a row of the key may stand; the first is where it is put."""
        return [self.prefix + text for text in (key_text(key), *former_texts(key))]

    def _open(self) -> Any:
        """The client, made when it is first needed; it is safe to use from many threads."""
        if self._client is None:
            self._client = package("redis", "RedisDriver").Redis.from_url(self.url)
        return self._client
