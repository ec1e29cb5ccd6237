"""A broker whose disk is full: callers hear it, nothing is lost, and all goes on when there is room."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from nbgraph import Graph
from nbgraph.deploy.backend import listening
from nbgraph.streams.base import Message, QueueSpec
from nbgraph.streams.nats import disk as disk_module
from nbgraph.streams.nats.broker import NatsBroker
from nbgraph.streams.nats.disk import FULL
from nbgraph.streams.nats.server import NatsServer, server_binary, server_config
from tests.serve.served import served

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can be made by root only")
SIZE = 64 << 20


@pytest.fixture
def disk(tmp_path):
    """A file system of 64 MiB."""
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", tmp_path], capture_output=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def fill(disk: Path) -> Path:
    """Another's file, which leaves no room."""
    other = disk / "other"
    free = os.statvfs(disk)
    other.write_bytes(b"x" * (free.f_bavail * free.f_bsize))
    return other


def test_a_queue_is_full_before_the_disk_is_and_what_was_accepted_is_answered(disk):
    """Eight events of 5 MB, of which a queue on a disk of 64 takes three."""
    going = threading.Event()

    async def measure(body):
        while not going.is_set():
            await asyncio.sleep(0.01)
        return len(body)

    def send(_):
        return client.post("/", content=b"x" * 5_000_000, headers={"prefer": "respond-async"})

    graph = Graph("filled")
    graph.to("(event)", "take").to("Queue", "filled-q").to(measure, "measure", function="worker").respond()
    with NatsServer(disk) as server, served(graph, lambda: connected(server)) as client:
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(send, range(8)))
        accepted = [reply.json()["id"] for reply in told if reply.status_code == 202]
        refused = {
            (reply.status_code, "full" in reply.text, "retry-after" in reply.headers)
            for reply in told
            if reply.status_code != 202
        }
        going.set()
        answers = [answer(client, id) for id in accepted]
        after = client.post("/", content=b"xyz").json()
    assert (len(accepted), refused, answers, after) == (3, {(503, True, True)}, [5_000_000] * 3, 3)


def connected(server):
    return NatsBroker.connect(server.url, token=server.token)


def answer(client, id):
    deadline = time.monotonic() + 60
    while (reply := client.get(f"/requests/{id}")).status_code == httpx.codes.ACCEPTED and time.monotonic() < deadline:
        time.sleep(0.1)
    return reply.json()


def test_a_broker_whose_disk_was_filled_by_others_goes_on_when_it_is_started_again(disk):
    queue = QueueSpec("kept")

    async def story(server):
        broker = await connected(server)
        await broker.declare(queue)
        await broker.publish(queue, Message("before", b"x"))
        other = fill(disk)
        late = asyncio.create_task(broker.publish(queue, Message("during", b"y" * 2_000_000)))
        while b"no space left" not in (disk / "log").read_bytes() and not late.done():
            await asyncio.sleep(0.1)
        was_stuck = server.is_stuck
        other.unlink()
        assert (was_stuck, server.is_stuck) == (False, True)
        server.start()
        await asyncio.wait_for(late, 40)
        found = await broker.backlog(queue), server.is_stuck
        await broker.close()
        return found

    with NatsServer(disk) as server:
        assert asyncio.run(asyncio.wait_for(story(server), 60)) == (2, False)


def test_a_broker_in_a_container_is_started_again_by_what_runs_it(disk):
    """As the broker's image runs its server; it ends when its container is stopped."""
    queue = QueueSpec("kept")
    (disk / "data").mkdir()
    with listening("127.0.0.1", None) as bound:
        port = bound.getsockname()[1]
    config = disk / "server.conf"
    config.write_text(server_config("127.0.0.1", port, "t", str(disk / "data"), is_safe=True))
    said: list[bytes] = []

    async def story():
        broker = await NatsBroker.connect(f"nats://127.0.0.1:{port}", token="t")
        await broker.declare(queue)
        await broker.publish(queue, Message("before", b"x"))
        other = fill(disk)
        late = asyncio.create_task(broker.publish(queue, Message("during", b"y" * 2_000_000)))
        while not any(FULL in line for line in said):
            await asyncio.sleep(0.1)
        other.unlink()
        await asyncio.wait_for(late, 40)
        found = await broker.backlog(queue)
        await broker.close()
        return found

    command = [sys.executable, "-I", "-S", disk_module.__file__, str(disk), str(server_binary()), "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as keeper:
        listener = threading.Thread(target=lambda: said.extend(keeper.stderr))
        listener.start()
        try:
            found = asyncio.run(asyncio.wait_for(story(), 60))
        finally:
            keeper.terminate()
            keeper.wait(30)
            listener.join(10)
    told = sum(b"is started again on its data" in line for line in said)
    assert (found, told, keeper.returncode) == (2, 1, 0)


def test_a_step_that_finds_no_room_fails_and_its_worker_lives(disk):
    def write(body):
        (disk / body["name"]).write_bytes(b"x" * body["size"])
        return body["size"]

    graph = Graph("writing")
    graph.to(write, "write")
    with served(graph) as client:
        fill(disk)
        full = client.post("/", json={"name": "a", "size": 1_000_000})
        (disk / "other").unlink()
        after = client.post("/", json={"name": "b", "size": 1_000_000})
    assert (full.status_code, full.json()["step"], after.json()) == (500, "write", 1_000_000)
    assert "No space left on device" in full.json()["error"]
