"""What a NATS server sends comes to the same, in whatever pieces it arrives, as with the client's own parser."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from nats.protocol.parser import Parser

from nbgraph.streams.nats.client import block_of
from nbgraph.streams.nats.parser import MessageParser

words = st.from_regex(r"\A[A-Za-z0-9_.$]{1,20}\Z").map(str.encode)
bodies = st.binary(max_size=40) | st.sampled_from([b"MSG a 1 2\r\n", b"\r\n", b"PING\r\n"])


def plain(subject, number, reply, body):
    return b" ".join([b"MSG", subject, b"%d" % number, *reply, b"%d" % len(body)]) + b"\r\n" + body + b"\r\n"


def headed(subject, number, reply, body, name):
    block = block_of({"Nats-Msg-Id": name.decode()})
    sizes = (b"%d" % len(block), b"%d" % (len(block) + len(body)))
    return b" ".join([b"HMSG", subject, b"%d" % number, *reply, *sizes]) + b"\r\n" + block + body + b"\r\n"


replies = st.lists(words, max_size=1)
numbers = st.integers(1, 99)
lines = st.one_of(
    st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n"]),
    st.builds(plain, words, numbers, replies, bodies),
    st.builds(headed, words, numbers, replies, bodies, words),
)


class Heard:
    """What a parser tells its client."""

    def __init__(self):
        self.told = []

    async def _process_msg(self, number, subject, reply, body, block):
        self.told.append((number, subject, reply, body, block or b""))

    async def _process_ping(self):
        self.told.append("ping")

    async def _process_pong(self):
        self.told.append("pong")


def heard(kind, pieces):
    client = Heard()
    parser = kind(client)
    for piece in pieces:
        with contextlib.suppress(StopIteration):
            parser.parse(piece).send(None)  # nothing in it waits
    return client.told


@given(st.lists(lines, max_size=6), st.lists(st.integers(0, 400), max_size=6))
def test_the_same_is_told_in_whatever_pieces_it_comes(sent, cuts):
    data = b"".join(sent)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    pieces = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    assert heard(MessageParser, pieces) == heard(Parser, [data])


@given(st.integers(60_000, 70_000), st.integers(1, 70_000))
def test_a_large_message_that_comes_in_pieces_is_whole(size, cut):
    data = plain(b"a", 1, [], b"x" * size) + plain(b"b", 2, [], b"y")
    assert heard(MessageParser, [data[:cut], data[cut:]]) == heard(Parser, [data])
