"""Ingests that are killed, run at once, and are read meanwhile: never a part of one, never one twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbgraph.errors import FeatureError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.features.ingest import write_rows
from tests.features.writer import KEYS, ROWS, batch, opened

MOMENT = 1_767_262_000 + 3600


def writer(path: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.features.writer", str(path), str(first), str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def counts(cards: FeatureSet, read: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> set[tuple[int, int]]:
    """How many rows of each key there are, and their sum, as windows have it."""
    keys = [{"card": f"c-{number}"} for number in range(KEYS)]
    return {(row["paid_count_1d"], row["paid_sum_1d"]) for row in read(keys)}


def vector_of(store: FeatureStore) -> FeatureVector:
    return store.add(FeatureVector("v", ["cards.paid_count_1d", "cards.paid_sum_1d"]))


def offline(vector: FeatureVector) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda keys: vector.offline(keys, time=MOMENT)  # type: ignore[no-any-return]


def online(vector: FeatureVector) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda keys: vector.online(keys, time=MOMENT)  # type: ignore[no-any-return]


def test_a_killed_ingest_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    store, cards = opened(str(tmp_path))
    cards.ingest(batch(0), id="0", progress=False)
    vector, seed = vector_of(store), random.Random(16)
    for first in (1, 4, 7):
        process = writer(tmp_path, first, 100)
        time.sleep(seed.random() * 0.25)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=20)
        assert process.stdout is not None
        process.stdout.close()
        store.sync()
        stored = cards.offline.frame().group_by("amount").len().collect()["len"].to_list()
        assert set(stored) == {ROWS}
        assert counts(cards, online(vector)) == counts(cards, offline(vector))
    for number in range(12):
        cards.ingest(batch(number), id=str(number), progress=False)
    assert len(cards.frame()) % ROWS == 0
    assert counts(cards, online(vector)) == counts(cards, offline(vector))
    assert store.online_version(cards) == cards.offline.version()


DYING = """
import os, signal, sys
from nbgraph.features import FeatureStore
from tests.features.writer import batch, opened
FeatureStore.advance = lambda self, set: os.kill(os.getpid(), signal.SIGKILL)
opened(sys.argv[1])[1].ingest(batch(1), id="1", progress=False)
"""


def test_a_reader_puts_online_what_a_writer_left_who_was_killed_before_he_could(tmp_path: Path) -> None:
    store, cards = opened(str(tmp_path))
    cards.ingest(batch(0), id="0", progress=False)
    vector = vector_of(store)
    assert counts(cards, online(vector)) == {(ROWS // KEYS, 0)}
    killed = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], cwd=Path(__file__).parents[2], timeout=60)
    assert (killed.returncode, store.online_version(cards), cards.offline.version()) == (-signal.SIGKILL, 0, 1)
    assert counts(cards, online(vector)) == counts(cards, offline(vector)) == {(2 * ROWS // KEYS, ROWS // KEYS)}
    assert store.online_version(cards) == 1


def test_a_reader_leaves_to_its_writer_what_is_not_to_be_online_or_not_yet(tmp_path: Path) -> None:
    store, cards = opened(str(tmp_path))
    cards.ingest(batch(0), id="0", progress=False)
    vector = vector_of(store)
    cards.ingest(batch(1), id="1", progress=False, online=False)
    assert (counts(cards, online(vector)), store.online_version(cards)) == ({(ROWS // KEYS, 0)}, 0)
    with store.writing(cards):
        write_rows(cards, batch(2), "2")
        assert (counts(cards, online(vector)), store.online_version(cards)) == ({(ROWS // KEYS, 0)}, 0)
    assert (counts(cards, online(vector)), store.sync()) == ({(3 * ROWS // KEYS, 3 * ROWS // KEYS)}, {"cards": 2})


def test_two_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    store, cards = opened(str(tmp_path))
    cards.ingest(batch(0), id="0", progress=False)
    vector = vector_of(store)
    writers = [writer(tmp_path, first, 6) for first in (1, 4)]  # three of the ids are the same
    seen: list[tuple[int, int, int]] = []
    while any(each.poll() is None for each in writers):
        offline_counts, online_counts = counts(cards, offline(vector)), counts(cards, online(vector))
        seen.append((len(offline_counts), len(online_counts), len(cards.frame()) % ROWS))
    assert [each.communicate()[0].split()[-1] for each in writers] == ["6", "9"]
    assert set(seen) == {(1, 1, 0)}
    store.sync()
    each = ROWS // KEYS
    assert counts(cards, online(vector)) == counts(cards, offline(vector)) == {(10 * each, 45 * each)}
    assert cards.offline.frame().select("_seq").collect()["_seq"].n_unique() == 10 * ROWS


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason="root writes to what is read-only")
def test_a_store_that_can_not_be_made_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureError, match=str(tmp_path / "file")):
        FeatureStore(tmp_path / "file" / "store")
