"""Brings up what the tests need besides Python, runs one command, and takes it down again.

    python tests/lab/prepare.py [--image-only] COMMAND [ARGUMENT...]

As root on Debian it installs Chromium, Docker, Compose, Redis and PostgreSQL where they are missing, starts a Docker
daemon where none answers, and makes a stand-in for `python:3.X-slim` where no registry gives it. Anywhere else it
takes what is there, and the tests that need more are skipped with the reason (in CI they fail). With --image-only it
installs and starts nothing, and only brings the image where a daemon answers. It uses the standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

BASE_IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PULL_SECONDS = 60
START_SECONDS = 30


def main(command: list[str]) -> int:
    if command[0] == "--image-only":
        bring_base_image()
        return subprocess.call(command[1:])
    install_missing()
    with docker_daemon():
        bring_base_image()
        return subprocess.call(command)


def say(message: str) -> None:
    print(f"lab: {message}", flush=True)


def succeeds(*command: str, timeout: float | None = None) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=timeout).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install_missing() -> None:
    """Debian packages for what is not on the machine; only root can, and only where apt is."""
    packages: list[str] = []
    if not any(map(shutil.which, BROWSERS)):
        packages += ["chromium", "fonts-dejavu-core"]
    if not (shutil.which("docker") and (daemon_answers() or shutil.which("dockerd"))):
        packages += ["docker.io", "containerd", "runc", "iptables"]
    if not shutil.which("docker-compose") and not succeeds("docker", "compose", "version", timeout=15):
        packages += ["docker-compose"]
    if not shutil.which("redis-server"):
        packages += ["redis-server"]
    if not (shutil.which("postgres") or list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))):
        packages += ["postgresql"]
    if os.environ.get("CI") == "true" and not shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        packages += ["nginx-light", "openssl"]  # not on a person's machine, where it would begin to listen
    if os.environ.get("CI") == "true" and not shutil.which("promtool"):
        packages += ["prometheus"]  # as it
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"not installed, and not root on Debian to install them: {', '.join(packages)}")
        return
    say(f"installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    for step in (["apt-get", "update", "-qq"], install):
        result = subprocess.run(step, env=environment, capture_output=True, text=True, check=False)
        if result.returncode:
            say(f"{' '.join(step)} failed: {result.stderr.strip()[-500:]}")


def daemon_answers() -> bool:
    return succeeds("docker", "version", "--format", "{{.Server.Version}}", timeout=15)


@contextmanager
def docker_daemon() -> Iterator[None]:
    """A daemon that answers at DOCKER_HOST while the block runs, if there can be one."""
    if not daemon_answers():
        os.environ.update(other_daemon())
    if daemon_answers() or os.geteuid() != 0 or not shutil.which("dockerd"):
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="nbgraph-lab-"))
    daemon = start_daemon(folder)
    try:
        yield
    finally:
        end_daemon(daemon, folder)


def other_daemon() -> dict[str, str]:
    """Where a running dockerd listens, if not at the usual place; a second one would undo its network rules."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if Path(words[0]).name == "dockerd":
            for option, value in pairwise(words):
                if option in ("-H", "--host"):
                    return {"DOCKER_HOST": value}
    return {}


def start_daemon(folder: Path) -> subprocess.Popen[bytes]:
    host = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--data-root", f"{folder}/root", "--exec-root", f"{folder}/exec"]
    command += ["--pidfile", f"{folder}/pid", "--host", host]
    with (folder / "log").open("wb") as log:
        # A session of its own, so that Ctrl-C ends the tests first and the daemon after them.
        daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    os.environ["DOCKER_HOST"] = host
    deadline = time.monotonic() + START_SECONDS
    while not daemon_answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            say("the Docker daemon did not start; the end of its log:")
            say((folder / "log").read_text(errors="replace")[-1500:])
            break
        time.sleep(0.2)
    else:
        say(f"Docker daemon started (pid {daemon.pid})")
    return daemon


def end_daemon(daemon: subprocess.Popen[bytes], folder: Path) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=30)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        mounted = line.split()[1]
        if mounted.startswith(f"{folder}/"):
            succeeds("umount", "--lazy", mounted)
    shutil.rmtree(folder, ignore_errors=True)


def bring_base_image() -> None:
    """The image that deployed graphs are built on: pulled, else made from this Python as a stand-in."""
    if not daemon_answers() or succeeds("docker", "image", "inspect", BASE_IMAGE):
        return
    if succeeds("docker", "pull", "--quiet", BASE_IMAGE, timeout=PULL_SECONDS):
        return
    say(f"no registry gives {BASE_IMAGE}; making a stand-in from {sys.base_prefix}")
    script = Path(__file__).with_name("base_image.py")
    if subprocess.call([sys.executable, str(script), "--tag", BASE_IMAGE]):
        say(f"the stand-in for {BASE_IMAGE} could not be made; tests that build images will say so")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
