"""The embedded server: a child that ends with whoever started it, however that ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbgraph.errors import DeployError
from nbgraph.streams.nats.broker import NatsBroker
from nbgraph.streams.nats.server import NatsServer

STARTS = """
import sys
from nbgraph.streams.nats.broker import NatsBroker
from nbgraph.streams.nats.server import NatsServer
server = NatsServer().start()
print(server.pid, server.folder, flush=True)
sys.stdin.read()
"""


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ends(pid, folder):
    """Whether the process and the folder go within a few seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (is_alive(pid) or folder.exists()):
        time.sleep(0.02)
    return not is_alive(pid) and not folder.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None])
def test_the_server_ends_with_its_parent_and_leaves_nothing(how):
    with subprocess.Popen(
        [sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid, folder = parent.stdout.readline().split()
        was_alive = is_alive(int(pid))
        if how is None:
            parent.stdin.close()  # it runs to its end
        else:
            parent.send_signal(how)
        parent.wait(10)
        assert (was_alive, ends(int(pid), Path(folder))) == (True, True)


def test_a_killed_server_starts_again_where_it_was(tmp_path):
    server = NatsServer(tmp_path).start()
    url, first = server.url, server.pid
    server.kill()
    assert not is_alive(first)
    with server:
        assert (server.url, server.pid != first) == (url, True)


def test_a_server_that_can_not_start_says_why(tmp_path):
    with NatsServer(tmp_path / "one") as one:
        port = int(one.url.rpartition(":")[2])
        with pytest.raises(DeployError, match=r"did not start: .*address already in use"):
            NatsServer(tmp_path / "two", port=port).start()


def test_who_comes_before_the_server_waits_for_it(tmp_path):
    server = NatsServer(tmp_path).start()
    server.kill()

    async def story():
        connecting = asyncio.create_task(NatsBroker.connect(server.url, token=server.token))
        await asyncio.sleep(0.5)
        was_waiting = not connecting.done()
        await asyncio.to_thread(server.start)
        broker = await asyncio.wait_for(connecting, 20)
        await broker.close()
        return was_waiting

    try:
        assert asyncio.run(story())
    finally:
        server.stop()


def test_who_waits_in_vain_is_told(tmp_path):
    server = NatsServer(tmp_path).start()
    server.stop()
    with pytest.raises(ConnectionError, match="No NATS server answers at"):
        asyncio.run(NatsBroker.connect(server.url, token=server.token, patience=0.3))
