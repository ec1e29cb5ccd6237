"""HTTPS by the gateway itself, and behind a reverse proxy as docs/serving.md says."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from nbgraph import Graph
from tests.serve.served import gateway_of, hosted

DOCS = Path(__file__).parents[3] / "docs" / "serving.md"


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


def test_the_gateway_speaks_tls_with_a_certificate(certificate: tuple[Path, Path]) -> None:
    graph = Graph("g")
    graph.to("(event + 1)").respond()
    gateway = gateway_of(graph)
    with (
        hosted(gateway, certificate=certificate) as url,
        httpx.Client(base_url=url, verify=trusting(certificate), trust_env=False) as caller,
    ):
        answers = [caller.post("/", json=number).json() for number in range(3)]
        refused = caller.post("/", content=b"a" * (17 * 2**20)).status_code
    assert (url[:8], answers, refused) == ("https://", [1, 2, 3], 413)


@contextmanager
def proxied(upstream: str, certificate: tuple[Path, Path], folder: Path) -> Iterator[str]:
    """Debian's nginx before the gateway, by the recipe of the documentation."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = re.search(r"```nginx\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    server = found[1].replace("127.0.0.1:8080", upstream).replace("listen 443", f"listen 127.0.0.1:{port}")
    server = server.replace("/etc/ssl/graph.pem", str(certificate[0])).replace(
        "/etc/ssl/graph.key", str(certificate[1])
    )
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        server += f"{kind}_temp_path {folder}/{kind};\n"
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off;\n{server}}}\n"
    )
    running = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    try:
        for _ in range(100):
            with socket.socket() as tried:
                if not tried.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield f"https://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(10)


def words(body: str) -> Iterator[str]:
    yield from body.split()


def test_behind_nginx_as_documented(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(words).respond()
    gateway = gateway_of(graph)
    with (
        hosted(gateway) as url,
        proxied(url.removeprefix("http://"), certificate, tmp_path) as outside,
        httpx.Client(base_url=outside, verify=trusting(certificate), trust_env=False) as caller,
    ):
        answer = caller.post("/", content=b"a b", headers={"content-type": "text/plain"}).text
        parts = caller.post("/", content=b"a b", headers={"accept": "text/event-stream"}).text
        too_long = caller.post("/", content=b"a" * (17 * 2**20)).status_code
        huge = caller.post("/", json=1, headers={"x": "a" * 70_000}).status_code
    assert (answer, parts.count("data:"), too_long, huge) == ("a", 2, 413, 400)
