"""Messages, letters, headers that nbgraph has not written, or that are not what they were: read, or refused."""

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbgraph.deploy.operation.failures import of_letter
from nbgraph.streams.base import DamageError, Message
from nbgraph.streams.codec.dead_letter import UNREADABLE, letter_of, read_letter
from nbgraph.streams.codec.envelope import read, told_of
from nbgraph.streams.codec.wire import pack
from nbgraph.streams.event_context import EventContext
from nbgraph.streams.memory.broker import MemoryBroker
from nbgraph.streams.nats.reader import TOLD, headers_of, message_of

any_text = st.text(st.characters(exclude_categories=()))  # halves of surrogate pairs as well
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text
keys = st.recursive(scalars, lambda parts: st.lists(parts, max_size=3), max_leaves=5)
headers = st.dictionaries(any_text, any_text, max_size=4)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4), max_leaves=8
)


@given(any_text, keys, headers)
def test_whatever_an_id_a_key_and_headers_are_they_arrive(id, key, told):
    message = Message(id, b"body", key, told)
    arrived = message_of(b"body", headers_of(message), id)
    assert arrived == message


@given(st.binary() | any_text.map(lambda text: text.encode("utf-8", "replace")) | json_values.map(repr))
def test_any_text_beside_a_message_is_read_or_refused(text):
    with contextlib.suppress(DamageError):
        found = read(text)
        assert [type(part) for part in found[1:]] == [dict, str]


@pytest.mark.parametrize(
    "text", ["{no", "3", '["a",[1]]', '["a",{"x":1}]', '[{"a":1},{}]', "[" * 100_000, '["a",{},7]']
)
def test_what_is_wrong_beside_a_message_is_told_and_kept(text):
    found = message_of(b"body", {TOLD: text, "Other": "1"}, "q.1.2")
    assert (found.id, found.body, found.headers) == ("q.1.2", b"body", {TOLD: text, "Other": "1"})
    assert found.damage.startswith("Its key and headers can't be read: ")


@given(st.fixed_dictionaries({}, optional={f"Nbgraph-{word}": any_text for word in ("Credit", "Deadline", "Hops")}))
def test_numbers_that_travel_beside_an_event_are_read_or_refused(told):
    with contextlib.suppress(DamageError):
        passage = EventContext.of_message(MemoryBroker(), pack, Message("m1", b"", None, told))
        assert passage.credit >= 0


@pytest.mark.parametrize(
    "told", [{"Credit": "zz"}, {"Credit": "-1"}, {"Credit": "f" * 99}, {"Deadline": "soon"}, {"Deadline": "nan"},
             {"Hops": "many"}, {"Hops": "-1"}]
)  # fmt: skip
def test_numbers_that_nbgraph_does_not_write_are_refused(told):
    message = Message("m1", b"", None, {f"Nbgraph-{word}": text for word, text in told.items()})
    with pytest.raises(DamageError, match="no numbers, or none that nbgraph writes"):
        EventContext.of_message(MemoryBroker(), pack, message)


@given(any_text, st.binary(), headers, json_values, st.dictionaries(any_text, json_values, max_size=3))
def test_a_letter_can_be_written_and_read_whatever_its_message_and_reason_are(id, body, told, key, reason):
    read = read_letter(letter_of(Message(id, body, None, told), {**reason, "key": key}, 1 << 20), "DEAD.1")
    assert read["body"] == body
    assert of_letter(read).step == str(read.get("step", ""))


@given(st.binary() | json_values.map(lambda value: _packed(value)))
def test_any_bytes_among_the_letters_are_a_failure_to_look_at(written):
    failure = of_letter(read_letter(written, "DEAD.7"))
    assert (failure.message, failure.time, failure.error) == ("DEAD.7", 0.0, UNREADABLE)


def _packed(value):
    with contextlib.suppress(Exception):
        return msgspec.msgpack.encode(value)
    return repr(value).encode("utf-8", "replace")


@pytest.mark.parametrize("body", [b"\xc1", b"\x91" * 200_000, b""])
def test_a_letter_whose_body_can_not_be_read_shows_its_bytes(body):
    letter = read_letter(letter_of(Message("q.1.2", body), {"step": "score", "input": body, "time": 1.0}, 1 << 20), "")
    failure = of_letter(letter)
    assert (failure.event.body, failure.input, failure.step, failure.event.id) == (body, body, "score", "q.1.2")


def test_records_of_kafka_that_somebody_else_has_written():
    shard = pytest.importorskip("nbgraph.streams.kafka.shard")

    def decoded(*found, value=b"x"):
        record = SimpleNamespace(
            headers=lambda: list(found) or None, value=lambda: value, topic=lambda: "t", partition=lambda: 0,
            offset=lambda: 7,
        )  # fmt: skip
        return shard.decoded(record)

    good = Message("é", b"x", ("a", 1), {"h": "\ud800"})
    arrived = decoded(*((name, value) for name, value in shard.encoded(good)[1].items()))
    assert replace(arrived, key=tuple(arrived.key)) == good
    assert decoded() == Message("t-0-7", b"x")
    assert decoded(value=None) == Message("t-0-7", b"")
    odd = [decoded((shard.ID, b"\xff")), decoded((shard.TOLD, b"{no")), decoded((shard.TOLD, None))]
    assert [(message.id, bool(message.damage)) for message in odd] == [("t-0-7", True)] * 3
    assert odd[1].headers == {"nbgraph": repr(b"{no")}


def test_told_of_is_what_read_reads():
    assert read(told_of(Message("m1", b"", float("inf"), {"a": "b"}))) == (float("inf"), {"a": "b"}, "")
