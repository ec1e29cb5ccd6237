"""Two functions with a queue between them, as one writes them with the client of NATS and nothing else.

The same server with the same durability as nbgraph's, a stream with the same limits and the same window for duplicates,
messages published without waiting for each, fetched 32 at a time, acknowledged when they are done.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import nats
from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig
from protocol import Run, serve

from nbgraph.streams.nats.server import NatsServer

UNDER_WAY = 1000  # messages that may be published and not done yet
WORKER = """
import asyncio, json, sys
import nats

async def work(url, token):
    client = await nats.connect(url, token=token, connect_timeout=60)
    subscription = await client.jetstream(timeout=60).pull_subscribe("work.0", "worker")
    while True:
        try:
            messages = await subscription.fetch(32, timeout=5)
        except (nats.errors.TimeoutError, TimeoutError):
            continue
        for message in messages:
            order = json.loads(message.data)
            json.dumps({**order, "total": order["amount"] * 2})
            await message.ack()

asyncio.run(work(*sys.argv[1:]))
"""


class Pipeline:
    """The first function is in this process, the second in a child."""

    def __init__(self) -> None:
        self._server = NatsServer().start()
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open())
        command = ["timeout", "600", sys.executable, "-c", WORKER, self._server.url, self._server.token]
        self._worker = subprocess.Popen(command)
        self._rounds = 0

    def run(self, events: int) -> int:
        self._loop.run_until_complete(self._publish_all(events))
        return events

    async def _open(self) -> None:
        client = await nats.connect(self._server.url, token=self._server.token)
        self._jetstream = client.jetstream(publish_async_max_pending=64)
        config = StreamConfig(
            name="work", subjects=["work.*"], retention=RetentionPolicy.WORK_QUEUE, discard=DiscardPolicy.NEW,
            max_msgs=UNDER_WAY, duplicate_window=600,
        )  # fmt: skip
        await self._jetstream.add_stream(config)

    async def _publish_all(self, events: int) -> None:
        self._rounds += 1
        for number in range(events):
            if number % 100 == 0:
                await self._left(UNDER_WAY - 200)
            body = json.dumps({"number": number, "amount": 120.5}).encode()
            await self._jetstream.publish_async("work.0", body, headers={"Nats-Msg-Id": f"{self._rounds}.{number}"})
        await self._jetstream.publish_async_completed()
        await self._left(0)

    async def _left(self, most: int) -> None:
        while (await self._jetstream.stream_info("work")).state.messages > most:
            await asyncio.sleep(0.005)


def pipeline() -> Run:
    return Pipeline().run


serve({"pipeline": pipeline})
