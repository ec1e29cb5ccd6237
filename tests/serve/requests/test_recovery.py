"""What a worker had promised to callers is done by the one that comes after it, however the first one ended."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

ASYNC = {"Prefer": "respond-async"}
HANDLERS = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent

def work(body):
    with (HERE / "began").open("a") as log:
        log.write(f"{body['n']}\\n")
    while body.get("waits") and not (HERE / "go").exists():
        time.sleep(0.01)
    if body.get("ends"):
        os._exit(7)
    return {"n": body["n"], "by": os.getpid()}

def first(body):
    return {**body, "seen": True}
"""
ALONE = "version: 1\nname: g\nsteps:\n  work: {}\nresponder: work\n"
EDGES = "edges:\n- {source: first, target: work}\n"
EARLY = f"version: 1\nname: g\nsteps:\n  first: {{}}\n  work: {{}}\n{EDGES}responder: first\n"


class Place:
    """A project with a folder for what is kept; one worker after the other serves it."""

    def __init__(self, folder: Path, graph: str) -> None:
        self.folder = folder
        (folder / "graph.yaml").write_text(graph)
        (folder / "handlers.py").write_text(HANDLERS)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "nbgraph.serve", "--project", str(self.folder), "--data-sync"]
        command += ["--ready-file", str(ready), "--data", str(self.folder / "data")]
        command += ["--port", "0", "--metrics-port", "0"]
        self.workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL))
        until(lambda: ready.exists() or self.workers[-1].poll() is not None)
        if ready.exists():
            found = json.loads(ready.read_text())
            self.url, self.metrics = (f"http://127.0.0.1:{found[port]}" for port in ("port", "metrics_port"))

    def kill(self) -> None:
        self.workers[-1].kill()
        self.workers[-1].communicate()

    def began(self) -> list[str]:
        log = self.folder / "began"
        return log.read_text().split() if log.exists() else []

    def kept(self) -> list[Path]:
        """Events that are not done; looked for twice, since a worker may be moving them into its own folder."""
        return self._seen() or self._seen()

    def _seen(self) -> list[Path]:
        return [path for path in (self.folder / "data" / "accepted").glob("*/*") if path.suffix == ""]

    def restart(self) -> bool:
        """Start the next worker if one has ended; whether all is done."""
        if self.workers[-1].poll() is not None:
            self.workers[-1].communicate()
            self.start()
        return not self.kept()

    def post(self, body: object, headers: Mapping[str, str]) -> httpx.Response:
        return httpx.post(self.url, json=body, headers=headers, timeout=30)

    def reply(self, place: str) -> httpx.Response:
        """What stands at that place once it is no more pending."""
        return until(lambda: found if (found := httpx.get(self.url + place)).status_code != 202 else None)


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    found = Place(tmp_path, request.param)
    yield found
    for worker in found.workers:
        worker.kill()
        worker.communicate()


def until(found: Callable[[], Any], seconds: float = 20) -> Any:
    """What is found, as soon as there is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


@pytest.mark.parametrize("place", [ALONE], indirect=True, ids=["alone"])
def test_what_was_accepted_is_done_after_a_kill_and_its_reply_is_found(place: Place) -> None:
    place.start()
    sent = [place.post({"n": n, "waits": True}, ASYNC) for n in (1, 2)]
    until(place.began)
    place.kill()
    (place.folder / "go").touch()
    place.start()
    replies = [place.reply(response.headers["location"]).json() for response in sent]
    pid = place.workers[-1].pid
    assert [response.status_code for response in sent] == [202, 202]
    assert replies == [{"n": 1, "by": pid}, {"n": 2, "by": pid}]
    assert until(lambda: not place.kept())
    place.kill()
    place.start()
    assert place.reply(sent[0].headers["location"]).json() == replies[0]  # replies outlive a worker as well


@pytest.mark.parametrize("place", [EARLY], indirect=True, ids=["early"])
def test_what_follows_an_early_answer_is_done_after_a_kill(place: Place) -> None:
    place.start()
    answer = place.post({"n": 1, "waits": True}, {"Authorization": "Bearer k3y"}).json()
    until(place.began)
    kept = b"".join(path.read_bytes() for path in place.kept())
    place.kill()
    (place.folder / "go").touch()
    place.start()
    assert until(lambda: place.began() == ["1", "1"] and not place.kept())
    assert (answer["seen"], b"k3y" in kept, b'"waits"' in kept) == (True, False, True)


@pytest.mark.parametrize("place", [ALONE], indirect=True, ids=["alone"])
def test_an_event_that_ends_its_worker_is_given_up_and_none_beside_it(place: Place) -> None:
    place.start()
    sent = [place.post({"n": n, "waits": n == 1, "ends": n == 2}, ASYNC) for n in (1, 2, 3)]
    (place.folder / "go").touch()
    assert until(place.restart, 120)
    replies = [place.reply(response.headers["location"]) for response in sent]
    (failure,) = httpx.get(place.metrics + "/failures").json()
    told = "it was begun 4 times and never finished: it may end its worker"
    assert [reply.status_code for reply in replies] == [200, 500, 200]
    assert (failure["step"], failure["event"]["body"]["n"], failure["error"]) == ("work", 2, f"RuntimeError: {told}")
    assert place.began().count("2") == 4


@pytest.mark.parametrize("place", [ALONE], indirect=True, ids=["alone"])
def test_what_can_not_be_kept_is_not_accepted(place: Place) -> None:
    place.start()
    shutil.rmtree(place.folder / "data" / "accepted")
    sent = [place.post({"n": 1}, {**ASYNC, "Idempotency-Key": "k"}) for _ in range(2)]
    plain = place.post({"n": 2}, {})
    assert [response.status_code for response in [*sent, plain]] == [503, 503, 200]
    assert (place.began(), "can't be kept (No such file" in sent[0].json()["error"]) == (["2"], True)
