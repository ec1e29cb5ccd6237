"""What `streams=` means, and what a transport tells about itself."""

import asyncio

import pytest

from nbgraph.errors import DeployError
from nbgraph.streams.base import Message, QueueSpec
from nbgraph.streams.transport import StreamAddress, address_of, check_reachable, transport_of, transports
from tests.streams.tansu import tansu


def test_every_folder_with_a_transport_is_known_by_its_name():
    assert {name: one.packages for name, one in sorted(transports().items())} == {
        "kafka": ("confluent-kafka",),
        "memory": (),
        "nats": ("nats-py",),
    }


def test_what_is_secret_in_a_url_stands_beside_it_and_in_no_text(tmp_path):
    (tmp_path / "ca.pem").write_text("CERTIFICATE")
    given = f"kafka://me:p%40ss@a:9093,b?ssl.ca.location={tmp_path / 'ca.pem'}&partitions=4&topics=auto"
    address = address_of(given, "orders")
    assert (address.url, address.secret, "p@ss" in repr(address)) == (
        "kafka://a:9093,b:9092/orders?partitions=4&topics=auto&sasl.mechanism=PLAIN&security.protocol=SASL_SSL",
        '{"sasl.password": "p@ss", "sasl.username": "me", "ssl.ca.pem": "CERTIFICATE"}',
        False,
    )


def test_the_environment_says_where_kafka_is(monkeypatch):
    monkeypatch.setenv("NBGRAPH_KAFKA", "host")
    assert (address_of("kafka", "orders").url, address_of("nats", "orders")) == (
        "kafka://host:9092/orders",
        StreamAddress(),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("rabbit://host", 'streams=\'rabbit\' is not known; expected "memory", "nats" or "kafka"'),
        ("memory", "joins the steps of one process"),
        ("nats://host:4222", "over NATS a deployment runs a server of its own"),
        ("kafka", 'NBGRAPH_KAFKA="host:9092"'),
        ("kafka://", "names no host"),
        ("kafka://me:secret@host/mine", r"streams='kafka://host/mine' has a path"),
        ("kafka://host?acks=0", 'Kafka has no option "acks"'),
        ("kafka://host?partitions=none", "partitions=none is not allowed"),
        ("kafka://host?topics=mine", "topics=mine is not known"),
        ("kafka://host?ssl.ca.location=/nowhere/ca.pem", "The file of ssl.ca.location can't be read"),
        (9092, "streams=9092 is no text"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(given, said, monkeypatch):
    monkeypatch.delenv("NBGRAPH_KAFKA", raising=False)
    with pytest.raises(DeployError, match=said):
        address_of(given, "orders")


def test_containers_need_an_address_that_leads_out_of_them():
    with pytest.raises(DeployError, match=r'localhost:9092 is reached from this machine alone.+"docker"'):
        check_reachable(address_of("kafka://10.0.0.1,localhost", "orders"), "docker")
    check_reachable(address_of("kafka://10.0.0.1", "orders"), "docker")
    check_reachable(address_of("nats", "orders"), "docker")


def test_options_that_the_client_does_not_know_and_brokers_that_are_not_there_are_said():
    async def told(given):
        address = address_of(given, "orders")
        try:
            await transport_of(address).connect(address, patience=0.1)
        except Exception as error:
            return type(error).__name__, str(error)

    [option, nobody] = [asyncio.run(told(given)) for given in ("kafka://127.0.0.1:1?no.such=1", "kafka://127.0.0.1:1")]
    assert (option[0], 'No such configuration property: "no.such"' in option[1], nobody) == (
        "NbgraphError",
        True,
        ("ConnectionError", "No Kafka broker answers at 127.0.0.1:1."),
    )


def test_deployments_at_one_cluster_see_nothing_of_each_other_and_take_their_own_topics_away():
    spec = QueueSpec("fees")

    async def story(servers):
        addresses = [address_of(f"kafka://{servers}?partitions=2", name) for name in ("orders", "orders-2")]
        transport = transport_of(addresses[0])
        first, second = [await transport.connect(address, reads=False) for address in addresses]
        for broker in (first, second):
            await broker.declare(spec)
        await first.publish(spec, Message("m1", b"x"))
        await first.bury(Message("m2", b"x"), {"step": "score"})
        seen = [(await broker.backlog(spec), len(await broker.buried())) for broker in (first, second)]
        await transport.forget(addresses[0])
        left = sorted(await first._cluster.topics())
        for broker in (first, second):
            await broker.close()
        return seen, left

    with tansu() as servers:
        found = asyncio.run(asyncio.wait_for(story(servers), 40))
    assert found == ([(1, 1), (0, 0)], ["nbgraph-orders-2.dead", "nbgraph-orders-2.queue.fees"])
