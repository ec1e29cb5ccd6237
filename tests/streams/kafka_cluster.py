"""librdkafka's mock cluster, by its own C interface: it speaks Kafka's protocol in this process, and keeps no files.

`confluent_kafka` can start one too (`test.mock.num.brokers`), but each new member of a group waits 3 s there.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.lab.relay import free_port, relay

PRODUCER = 0


QUICK = "topics=auto&session.timeout.ms=1400&heartbeat.interval.ms=100&fetch.wait.max.ms=20"  # options for its speed


@contextmanager
def mock_process(host: str = "127.0.0.1") -> Iterator[str]:
    """A mock cluster in a process of its own."""
    code = f"from tests.streams.kafka_cluster import serve; serve({host!r})"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(20)


def serve(host: str) -> None:
    """Tell where the cluster is, and keep it until the standard input ends."""
    with mock_cluster(host) as address:
        print(address, flush=True)
        sys.stdin.read()


@contextmanager
def mock_cluster(host: str = "127.0.0.1") -> Iterator[str]:
    """The address of the cluster. It makes any topic that is asked for, of four partitions; it can't be told to.

    It listens on 127.0.0.1 alone; where it is to be reached at another `host` of this machine, a relay listens there.
    """
    kafka = pytest.importorskip("confluent_kafka")
    found = list(Path(kafka.__file__).parent.parent.glob("confluent_kafka.libs/librdkafka-*"))
    if not found:
        pytest.skip("no librdkafka beside confluent_kafka, whose Linux wheels bring it along: no mock cluster to start")
    library = ctypes.CDLL(str(found[0]))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    error = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    client = ctypes.c_void_p(library.rd_kafka_new(PRODUCER, conf, error, ctypes.c_size_t(512)))
    assert client, error.value.decode()
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 1))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, ctypes.c_int32(0))
    address = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    with ExitStack() as stack:
        if host != "127.0.0.1":
            port, own = free_port(host), int(address.rpartition(":")[2])
            stack.enter_context(relay(host, port, ("127.0.0.1", own)))
            library.rd_kafka_mock_broker_set_host_port(
                cluster, ctypes.c_int32(1), ctypes.c_char_p(host.encode()), ctypes.c_int(port)
            )
            address = f"{host}:{port}"
        yield address
    library.rd_kafka_mock_cluster_destroy(cluster)
    library.rd_kafka_destroy(client)
