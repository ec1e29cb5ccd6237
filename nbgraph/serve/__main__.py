"""`python -m nbgraph.serve`: what a container runs."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

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
            from nbgraph.serve.foreman import lead  # a parent needs no more than this

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
    parser = argparse.ArgumentParser(prog="python -m nbgraph.serve", description="Serve an exported graph over HTTP.")
    add = parser.add_argument
    add("--project", type=Path, default=Path(), help="folder that graph.export() wrote")
    add("--host", default=Settings.host)
    add("--port", type=int, default=Settings.port, help="0 for any free one")
    add("--listen-fd", type=int, help="a socket handed down by the parent process, instead of host and port")
    add("--metrics-host", default=Settings.metrics_host)
    add("--metrics-port", type=int, default=Settings.metrics_port, help="0 for any free one")
    add("--key-file", type=Path, help="file with API keys, one a line; without it everyone may call")
    add("--certificate-file", type=Path, help="PEM file of the gateway's certificate and its chain: HTTPS")
    add("--certificate-key-file", type=Path, help="PEM file of its key")
    add("--ready-file", type=Path, help="written with the ports as JSON once all is up")
    add("--until-eof", action="store_true", dest="is_until_eof", help="stop also when the standard input ends")
    add("--broker", help="URL of the broker that joins the functions of a graph")
    add("--broker-token-file", type=Path, help="file with its token or login")
    add("--data", type=Path, help="folder for what callers were promised, which the next worker here goes on with")
    add("--data-sync", action="store_true", dest="is_data_safe", help="promise only what is on the disk")
    add("--workers", type=int, default=Settings.workers, help="processes that callers reach on the one port")
    add("--drain-seconds", type=float, default=Settings.drain_seconds)
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
