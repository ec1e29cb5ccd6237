"""Pages: whatever is written is what the next reader finds, through new bases and in the face of other writers."""

import asyncio
import random

import pytest

from nbgraph.serve.state import state_pages as module
from nbgraph.serve.state.state_pages import StatePages, head_of
from nbgraph.streams.base import StaleError
from nbgraph.streams.memory.broker import MemoryBroker


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(module, "SHORT", 200)
    monkeypatch.setattr(module, "LONG", 400)
    monkeypatch.setattr(module, "PIECE", 150)


@pytest.mark.parametrize("seed", range(8))
def test_writers_that_take_turns_leave_what_the_last_of_each_change_left(seed):
    chance, model = random.Random(seed), {}

    async def story():
        broker = MemoryBroker()
        writers = [StatePages(broker, "shard") for _ in range(3)]
        refused = 0
        for number in range(300):
            writer = chance.choice(writers)
            if chance.random() < 0.5:
                await writer.refresh()
            paths = [f"p{chance.randrange(25)}".encode() for _ in range(chance.randrange(1, 4))]
            changes = {p: None if chance.random() < 0.2 else chance.randbytes(chance.randrange(60)) for p in paths}
            try:
                await writer.write(changes, {"number": number})
            except StaleError:
                refused += 1
                continue
            for path, page in changes.items():
                model.pop(path, None) if page is None else model.update({path: page})
            told = number
        reader = StatePages(broker, "shard")
        await reader.refresh()
        for writer in writers:
            await writer.refresh()
        head = await head_of(broker, "shard")
        return refused, reader.values, [writer.values for writer in writers], reader.head, head, told

    refused, found, others, head, alone, told = asyncio.run(story())
    assert (found, others, head, alone) == (model, [model] * 3, {"number": told}, {"number": told})
    assert refused > 50


def test_what_changed_elsewhere_is_told_page_by_page_until_there_is_a_new_base():
    async def story():
        broker = MemoryBroker()
        one, other = StatePages(broker, "shard"), StatePages(broker, "shard")
        await one.write({b"a": b"1", b"b": b"2"}, {})
        told = [await other.refresh(), await other.refresh()]
        await one.write({b"b": None}, {})
        told.append(await other.refresh())
        await one.write({b"c": b"x" * 300}, {})
        return [*told, await other.refresh(), other.values]

    whole = {b"a": b"1", b"c": b"x" * 300}
    assert asyncio.run(story()) == [{b"a": b"1", b"b": b"2"}, {}, {b"b": None}, None, whole]
