"""Logs: one JSON object a line; what steps print goes out beside them as it is."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from nbgraph.streams import request_id, traceparent

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as JSON: time, level, logger, message, the fields of `extra`, and the traceback if there is one.

    >>> fields = {"name": "nbgraph", "levelname": "INFO", "msg": "ready", "port": 80, "created": 0}
    >>> JsonLines().format(logging.makeLogRecord(fields))
    '{"time": "1970-01-01T00:00:00.000+00:00", "level": "info", "logger": "nbgraph", "message": "ready", "port": 80}'
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if (trace := traceparent.trace_id()) is not None:
            line["trace_id"] = trace
        if (request := request_id.current.get()) is not None:
            line["request_id"] = request
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up() -> None:
    """Send all records to the standard error, and let prints appear at once though no terminal is there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
