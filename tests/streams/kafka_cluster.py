"""librdkafka's mock cluster, by its own C interface: it speaks Kafka's protocol in this process, and keeps no files.

`confluent_kafka` can start one too (`test.mock.num.brokers`), but each new member of a group waits 3 s there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PRODUCER = 0


@contextmanager
def mock_cluster() -> Iterator[str]:
    """The address of the cluster. It makes any topic that is asked for, of four partitions; it can't be told to."""
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
    yield library.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    library.rd_kafka_mock_cluster_destroy(cluster)
    library.rd_kafka_destroy(client)
