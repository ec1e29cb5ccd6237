"""Queues into which somebody else writes: what can't be read is put aside, each piece of it, and all others go on."""

import asyncio
import base64
import contextlib
import json
import pickle

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.loop import LoopThread
from nbgraph.engine.partition import split
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.streams.base import Message, QueueSpec
from nbgraph.streams.codec.wire import VALUES, pack
from nbgraph.streams.memory.broker import MemoryBroker
from nbgraph.streams.nats.broker import NatsBroker
from tests.serve.served import served
from tests.streams.kafka_cluster import mock_cluster

ours = ["Nbgraph", "Nats-Msg-Id", "Nbgraph-Credit", "Nbgraph-Hops", "Nbgraph-Root", "Nbgraph-Reply-To"]
ours += ["Event-Id", "Event-Time", "Event-Headers", "Event-Key", "traceparent"]
names = st.sampled_from(ours) | st.binary(max_size=12)
words = st.sampled_from(
    [b"{no", b"3", b'["a",[1]]', b'["a",{}]', b'["a",{"Nbgraph-Credit":"z"}]', b"zz", b"soon", b"[]"]
)
blocks = st.lists(st.tuples(names, words | st.binary(max_size=40)), max_size=4)
letters = st.lists(st.tuples(blocks, st.binary(max_size=60) | st.sampled_from([b"\x91" * 5000, pack(1)])), max_size=12)
HEADERS = {
    "no number": {"Nbgraph-Credit": "zz"}, "no time": {"Nbgraph-Deadline": "soon"}, "no count": {"Nbgraph-Hops": "x"},
    "no inbox": {"Nbgraph-Reply-To": "a b\r\nPUB x"}, "a queue as inbox": {"Nbgraph-Reply-To": "damaged-q.0"},
    "no date": {"Event-Time": "soon"}, "no headers": {"Event-Headers": "[1]"}, "no key": {"Event-Key": "@"},
}  # fmt: skip


def flow(name):
    graph = Graph(name)
    graph.to("(event + 1)", "plus").to("Queue", f"{name}-q", key="$key", shards=1)
    graph.step(f"{name}-q").to("(event * 10)", "times", function="worker").respond()
    return graph


@contextlib.contextmanager
def running(graph, connect):
    """A loop, the pipelines of a graph on it, a connection beside them, and the queue."""
    home, pipelines = LoopThread("damage"), []

    async def opened():
        for function in split(graph):
            part = FunctionSpec(function.name, function.reads, function.answers, function.asks, function.confirms)
            pipelines.append(Consumer(PlanRunner(function.graph.plan()), part, await connect(), seconds=60))
            await pipelines[-1].open()
        return await connect()

    async def closed():
        for pipeline in pipelines:
            await pipeline.close(2)
        await broker.close()

    broker = home.submit(opened()).result(30)
    [queue] = pipelines[1].specs.values()
    try:
        yield home, pipelines[0].callers, broker, queue
    finally:
        home.submit(closed()).result(30)
        home.stop()


def over(server):
    return lambda: NatsBroker.connect(server.url, token=server.token)


@pytest.fixture(params=["memory", "nats", "kafka"])
def connect_any(request):
    if request.param == "memory":
        broker = MemoryBroker()

        async def shared():
            return broker

        yield shared
    elif request.param == "nats":
        server = request.getfixturevalue("server")
        yield over(server)
    else:
        kafka = pytest.importorskip("nbgraph.streams.kafka.broker")
        quick = {"session.timeout.ms": 1400, "heartbeat.interval.ms": 100}
        with mock_cluster() as servers:
            yield lambda: kafka.KafkaBroker.connect(servers, makes_topics=False, consumer=quick)


def test_headers_that_can_not_be_read_are_put_aside_and_callers_are_answered(connect_any):
    async def story():
        await broker.declare(queue)
        for number, (why, told) in enumerate(HEADERS.items()):
            await broker.publish(queue, Message(f"{why}-{number}", pack(1), "1", told))
        answers = [await callers.ask(Event(body, id=f"caller-{body}")) for body in (1, 2)]
        return answers, sorted(letter["id"] for letter in await broker.buried())

    with running(flow("damaged"), connect_any) as (home, callers, broker, queue):
        found = home.submit(story()).result(40)
    assert found == ([20, 30], sorted(f"{why}-{number}" for number, why in enumerate(HEADERS)))


@pytest.mark.parametrize("name", ["any"])
def test_whatever_bytes_come_as_header_or_body_each_is_done_or_put_aside(server, name):
    """The raw protocol: what no client would send."""
    numbers = iter(range(10**6))

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(letters)
    def holds(sent):
        assert home.submit(story(sent)).result(40) == ([20], 0)

    async def story(sent):
        await raw(server, f"{queue.name}.0", sent)
        answers = [await callers.ask(Event(1, id=f"caller-{next(numbers)}"))]
        await broker.drained(queue)
        await broker.buried(20)
        return answers, await broker.backlog(queue)

    with running(flow(name), over(server)) as (
        home,
        callers,
        broker,
        queue,
    ):
        holds()


def test_what_is_no_reply_is_not_heard_even_where_the_client_would_stop_reading(server):
    async def story():
        broker = await over(server)()
        inbox = await broker.inbox()
        unread = (b"NATS/1.0 \xff\xff\xff\r\n\r\n", b"x")
        await raw_block(server, inbox.address, [unread, (b"NATS/1.0\r\nNbgraph: {no\r\n\r\n", b"y")])
        await broker.reply(inbox.address, {"Root": "e\n1"}, b"answer")
        heard = await anext(inbox.replies())
        await broker.close()
        return heard

    assert asyncio.run(asyncio.wait_for(story(), 20)) == ({"Root": "e\n1"}, b"answer")


async def raw(server, subject, sent):
    blocks = []
    for told, body in sent:
        lines = [(name if isinstance(name, bytes) else name.encode()) + b": " + value for name, value in told]
        kept = [line.replace(b"\r", b"").replace(b"\n", b"") for line in lines]  # the block's own frame
        blocks.append((b"NATS/1.0\r\n" + b"".join(line + b"\r\n" for line in kept) + b"\r\n", body))
    await raw_block(server, subject, blocks)


async def raw_block(server, subject, blocks):
    host, port = server.url.removeprefix("nats://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    writer.write(b'CONNECT {"verbose":false,"headers":true,"auth_token":"%s"}\r\n' % server.token.encode())
    for block, body in blocks:
        size = len(block) + len(body)
        writer.write(b"HPUB %s %d %d\r\n" % (subject.encode(), len(block), size) + block + body + b"\r\n")
    writer.write(b"PING\r\n")
    while (line := await reader.readline()) and b"PONG" not in line:
        assert not line.startswith(b"-ERR"), line
    writer.close()
    await writer.wait_closed()


def test_the_dead_letter_is_written_before_the_message_is_acknowledged():
    """The letters' place is away for a while: the message comes again until its letter is kept."""
    broker, refused = MemoryBroker(), []
    bury = broker.bury

    async def at_first_refused(message, reason):
        if len(refused) < 2:
            refused.append(message.id)
            raise ConnectionError("no room for letters")
        await bury(message, reason)

    broker.bury = at_first_refused

    async def shared():
        return broker

    async def story():
        await broker.publish(queue, Message("bad", b"\xc1", "1"))
        await broker.drained(queue)
        return [letter["id"] for letter in await broker.buried()], refused

    with running(flow("refused"), shared) as (home, _, broker, queue):
        assert home.submit(story()).result(30) == (["bad"], ["bad", "bad"])


def test_a_reader_that_fails_is_begun_again_and_told(caplog):
    broker, read = MemoryBroker(), []

    def breaking(spec, **options):
        read.append(spec.name)
        if len(read) == 1:
            raise RuntimeError("the reader's end")
        return MemoryBroker.read(broker, spec, **options)

    broker.read = breaking

    async def shared():
        return broker

    with running(flow("begun"), shared) as (home, callers, _, queue):
        assert home.submit(callers.ask(Event(1))).result(30) == 20
    assert (read, 'Queue "begun-q" can\'t be read' in caplog.text) == ([queue.name] * 2, True)


def test_a_spec_is_named_in_the_letter(connect):
    async def story():
        await broker.publish(queue, Message("odd", b"\xc1", "1"))
        await broker.drained(queue)
        return [letter["queue"] for letter in await broker.buried(1)]

    with running(flow("named"), connect) as (home, _, broker, queue):
        assert home.submit(story()).result(30) == ["named-q"] == [QueueSpec("named-q").name]


def test_what_another_version_has_left_in_the_queue_is_done_or_put_aside(connect_any):
    """What waits when new workers come: what they can read, with words beside it that they don't know, and a value of
    a kind that they don't know.
    """
    newer = msgspec.msgpack.encode([1, msgspec.msgpack.Ext(99, b"x")])
    waiting = [Message("newer", newer, "1"), Message("known", pack(4), "1", {"Nbgraph-Mood": "good"})]

    async def story():
        await broker.declare(queue)
        for message in waiting:
            await broker.publish(queue, message)
        answer = await callers.ask(Event(1))
        letters = [letter for letter in await broker.buried() if letter["queue"] == queue.name]  # of this story alone
        return answer, [(letter["id"], "whoever wrote it may be newer" in str(letter)) for letter in letters]

    with running(flow("versioned"), connect_any) as (home, callers, broker, queue):
        assert home.submit(story()).result(40) == (20, [("newer", True)])


class Canary:
    """Whoever unpickles it leaves a file."""

    def __init__(self, path):
        self._path = str(path)

    def __reduce__(self):
        return open, (self._path, "w")


def test_a_pickle_is_never_opened_wherever_it_comes_in(server, tmp_path):
    canary = tmp_path / "opened"
    pickled = pickle.dumps(Canary(canary))
    text = base64.b64encode(pickled).decode()

    async def story():
        told = json.dumps(["1", {"Event-Key": text, "Event-Headers": text}]).encode()
        await raw(server, f"{queue.name}.0", [([], pickled), ([("Nbgraph", told)], pickled)])
        return await callers.ask(Event(1, id="after-pickles")), len(await broker.buried(2))

    with running(flow("pickled"), over(server)) as (home, callers, broker, queue):
        assert home.submit(story()).result(30) == (20, 2)
    with served(flow("pickled-http"), over(server)) as client:
        for kind in ("application/x-python-pickle", "application/octet-stream", "application/json", VALUES):
            client.post("/", content=pickled, headers={"content-type": kind, "x-pickle": text})
    assert not canary.exists()


def test_no_answer_is_another_callers_though_replies_come_twice_and_late():
    """Ten thousand ids at once."""
    broker = MemoryBroker()
    reply = broker.reply

    async def again(address, headers, body):
        await reply(address, headers, body)
        await reply(address, headers, body)
        asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(reply(address, headers, body)))

    broker.reply = again

    async def shared():
        return broker

    async def story():
        asks = (callers.ask(Event(body, id=f"id-{body}")) for body in range(10_000))
        return await asyncio.gather(*asks), callers.late > 0

    with running(flow("crossed"), shared) as (home, callers, *_):
        assert home.submit(story()).result(120) == ([(body + 1) * 10 for body in range(10_000)], True)
