"""Names on a NATS server: of a queue's stream, and of the consumer of one of its shards."""

from __future__ import annotations

import re


def stream_name(queue: str) -> str:
    """A name as subjects and streams allow it, different for different names.

    >>> stream_name("fees"), stream_name("a.b")
    ('fees', 'a_2e_b')
    """
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"_{ord(found[0]):x}_", queue)


def consumer_name(shard: int) -> str:
    """The consumer that all workers share.

    >>> consumer_name(3)
    'shard-3'
    """
    return f"shard-{shard}"
