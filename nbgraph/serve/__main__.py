"""`python -m nbgraph.serve`: what a container runs."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from nbgraph.contract import WORKER_MODULE, DeploymentVersion, Option
from nbgraph.errors import NbgraphError
from nbgraph.serve.gateway.limits import Limits
from nbgraph.serve.settings import Settings
from nbgraph.serve.telemetry.logs import set_up


def main(words: list[str] | None = None) -> int:
    """The exit status: 0 after a stop that was asked for, 1 where the graph could not be served."""
    settings = _settings(words)
    set_up()
    try:
        if settings.workers > 1:
            from nbgraph.serve.supervisor import lead  # a parent needs no more than this

            return lead(settings, sys.argv[1:] if words is None else words)
        from nbgraph.serve.worker import run

        if settings.project.is_dir():
            os.chdir(settings.project)  # where the files are that the steps read
        run(settings)
    except NbgraphError as error:
        logging.getLogger("nbgraph.serve").error("%s", error)
        return 1
    except Exception as error:
        logging.getLogger("nbgraph.serve").exception("%s: %s", type(error).__name__, error)
        return 1
    return 0


def _settings(words: list[str] | None) -> Settings:
    parser = argparse.ArgumentParser(
        prog=f"python -m {WORKER_MODULE}", description="Serve an exported graph over HTTP."
    )
    add = parser.add_argument
    add(Option.PROJECT, type=Path, default=Path(), help="folder that graph.export() wrote")
    add(Option.HOST, default=Settings.host)
    add(Option.PORT, type=int, default=Settings.port, help="0 for any free one")
    add(Option.LISTEN_FD, type=int, help="a socket handed down by the parent process, instead of host and port")
    add(Option.METRICS_HOST, default=Settings.metrics_host)
    add(Option.METRICS_PORT, type=int, default=Settings.metrics_port, help="0 for any free one")
    add(Option.KEY_FILE, type=Path, help="file with API keys, one a line; without it everyone may call")
    add(Option.CERTIFICATE_FILE, type=Path, help="PEM file of the gateway's certificate and its chain: HTTPS")
    add(Option.CERTIFICATE_KEY_FILE, type=Path, help="PEM file of its key")
    add(Option.READY_FILE, type=Path, help="written with the ports as JSON once all is up")
    add(Option.UNTIL_EOF, action="store_true", dest="is_until_eof", help="stop also when the standard input ends")
    add(Option.BROKER, help="URL of the broker that joins the functions of a graph")
    add(Option.BROKER_TOKEN_FILE, type=Path, help="file with its token or login")
    add(
        Option.WATCH_FOLDER,
        type=Path,
        help="folder for what is counted of a watched graph; the workers on a machine share it",
    )
    add(Option.DATA, type=Path, help="folder for what callers were promised, which the next worker here goes on with")
    add(Option.DATA_SYNC, action="store_true", dest="is_data_safe", help="promise only what is on the disk")
    add(Option.WORKERS, type=int, default=Settings.workers, help="processes that callers reach on the one port")
    add(Option.TARGETS_FILE, type=Path, help="file that says which workers there are, as Prometheus' http_sd reads it")
    add(Option.VERSION, type=DeploymentVersion.of_text, help="the deployment and its version, as JSON")
    add(Option.DRAIN_SECONDS, type=float, default=Settings.drain_seconds)
    add("--grace-seconds", type=float, default=Settings.grace_seconds)
    add("--body-seconds", type=float, default=Limits.body_seconds, help="seconds that a body may take to arrive")
    add("--timeout", type=float, default=Limits.seconds, help="seconds until a caller gets 504")
    add("--max-body", type=int, default=Limits.body_bytes, help="bytes")
    add("--max-in-flight", type=int, default=Limits.in_flight, help="requests; more get 429")
    given = vars(parser.parse_args(words))
    limits = Limits(*(given.pop(name) for name in ("max_body", "max_in_flight", "body_seconds", "timeout")))
    given = {name: value.absolute() if isinstance(value, Path) else value for name, value in given.items()}
    return Settings(**given, limits=limits)


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    # Libraries with threads of their own (Arrow) may abort the interpreter while it takes itself down.
    os._exit(status)
