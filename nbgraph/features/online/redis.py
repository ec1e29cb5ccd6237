"""RedisOnline: the online records in Redis; each step is one script, so that all of it happens or none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from nbgraph.features.online.record import BEYOND, Advance, KeyMetadata, Row, Stored, Waiting
from nbgraph.steps.optional import package
from nbgraph.streams.codec.values import freeze, thaw

REMEMBERED = 1_000_000  # ids of events that are known again

# In each script p is the place of the set: p:about, p:records (key -> record), p:rows (number -> row), p:keys (number
# -> key), p:waiting:KEY (numbers), p:open and p:batch:NAME (numbers), p:batches (names), p:came (ids).
_READ = """
local found = {}
for i, key in ipairs(ARGV) do
  local one = {redis.call('HGET', KEYS[1] .. ':records', key)}
  for _, number in ipairs(redis.call('LRANGE', KEYS[1] .. ':waiting:' .. key, 0, -1)) do
    one[#one + 1] = number
    one[#one + 1] = redis.call('HGET', KEYS[1] .. ':rows', number)
  end
  found[i] = one
end
return found
"""
_ADVANCE = """
local p, was, about, clear, arrived = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if (redis.call('GET', p .. ':about') or '') ~= was then return 0 end
if clear == '1' then redis.call('DEL', p .. ':records') end
for i = 5, 4 + arrived do
  local batch = p .. ':batch:' .. ARGV[i]
  for _, number in ipairs(redis.call('LRANGE', batch, 0, -1)) do
    local key = redis.call('HGET', p .. ':keys', number)
    if key then redis.call('LREM', p .. ':waiting:' .. key, 1, number) end
    redis.call('HDEL', p .. ':rows', number)
    redis.call('HDEL', p .. ':keys', number)
  end
  redis.call('DEL', batch)
  redis.call('SREM', p .. ':batches', ARGV[i])
end
for i = 5 + arrived, #ARGV, 2 do redis.call('HSET', p .. ':records', ARGV[i], ARGV[i + 1]) end
redis.call('SET', p .. ':about', about)
return 1
"""
_WAIT = """
local p = KEYS[1]
for i = 2, #ARGV, 3 do
  if redis.call('ZSCORE', p .. ':came', ARGV[i]) == false then
    local number = redis.call('INCR', p .. ':number')
    redis.call('ZADD', p .. ':came', number, ARGV[i])
    redis.call('HSET', p .. ':rows', number, ARGV[i + 2])
    redis.call('HSET', p .. ':keys', number, ARGV[i + 1])
    redis.call('RPUSH', p .. ':waiting:' .. ARGV[i + 1], number)
    redis.call('RPUSH', p .. ':open', number)
  end
end
redis.call('ZREMRANGEBYRANK', p .. ':came', 0, -1 - tonumber(ARGV[1]))
return 1
"""
_GATHER = """
if redis.call('EXISTS', KEYS[1] .. ':open') == 0 then return 0 end
redis.call('RENAME', KEYS[1] .. ':open', KEYS[1] .. ':batch:' .. ARGV[1])
redis.call('SADD', KEYS[1] .. ':batches', ARGV[1])
return 1
"""
_BATCHES = """
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1] .. ':batches')) do
  local one = {name}
  for _, number in ipairs(redis.call('LRANGE', KEYS[1] .. ':batch:' .. name, 0, -1)) do
    one[#one + 1] = redis.call('HGET', KEYS[1] .. ':rows', number)
  end
  found[#found + 1] = one
end
return found
"""


class RedisOnline:
    """Records under `<prefix><set>`, which a deployment on any machine reads.

    >>> RedisOnline("redis://127.0.0.1:6379/0").prefix
    'nbgraph:features:'
    """

    def __init__(self, url: str, prefix: str = "nbgraph:features:") -> None:
        self.url, self.prefix = url, prefix

    @cached_property
    def _client(self) -> Any:
        return package("redis", "RedisOnline").Redis.from_url(self.url)

    @cached_property
    def _scripts(self) -> dict[str, Any]:
        texts = {"read": _READ, "advance": _ADVANCE, "wait": _WAIT, "gather": _GATHER, "batches": _BATCHES}
        return {name: self._client.register_script(text) for name, text in texts.items()}

    def _run(self, script: str, name: str, arguments: Sequence[Any] = ()) -> Any:
        return self._scripts[script](keys=[self._place(name)], args=list(arguments))

    def _place(self, name: str) -> str:
        return f"{self.prefix}{{{name}}}"  # in braces: all of a set in one slot of a cluster

    def about(self, name: str) -> KeyMetadata | None:
        found = self._client.get(f"{self._place(name)}:about")
        return None if found is None else KeyMetadata(**json.loads(found))

    def read(self, name: str, keys: Sequence[str]) -> list[Stored]:
        return [_stored(*found) for found in self._run("read", name, keys)]

    def advance(self, name: str, was: KeyMetadata | None, step: Advance) -> bool:
        records = [part for pair in step.records.items() for part in pair]
        told = "" if was is None else _text(was)
        arguments = [told, _text(step.about), "01"[step.clear], len(step.arrived), *step.arrived, *records]
        return bool(self._run("advance", name, arguments))

    def wait(self, name: str, rows: Sequence[Waiting]) -> None:
        parts = [part for each in rows for part in (each.id, each.key, freeze([each.time, each.row]))]
        self._run("wait", name, [REMEMBERED, *parts])

    def gather(self, name: str, batch: str) -> None:
        self._run("gather", name, [batch])

    def batches(self, name: str) -> Mapping[str, Sequence[Row]]:
        found = self._run("batches", name)
        return {batch.decode(): [thaw(row)[1] for row in rows] for batch, *rows in found}

    def drop(self, name: str) -> None:
        place = self._place(name)
        for key in self._client.scan_iter(match=place.replace("[", "\\[") + ":*", count=1000):
            self._client.delete(key)

    def close(self) -> None:
        self._client.close()


def _stored(record: bytes | None, *waiting: bytes) -> Stored:
    lines = []
    for number, row in zip(waiting[::2], waiting[1::2], strict=True):
        time, body = thaw(row)
        lines.append((time, BEYOND + int(number), body))
    return record, lines


def _text(about: KeyMetadata) -> str:
    """What a set contains, always as the same text: it is compared."""
    told = {"version": about.version, "sequence": about.sequence, "columns": dict(about.columns)}
    return json.dumps(told, sort_keys=True)
