"""Answers as plain data, without what differs from run to run."""

from __future__ import annotations

import json
from typing import Any

STATE = "background_task_state"  # their router writes it into the caller's body
PASSING = ("id", "timestamp", "model_endpoint_uid", "version", "model_version")


def plain(answer: Any) -> Any:
    """What JSON has of an answer."""
    if isinstance(answer, (str, bytes)) and answer[:1] in ("{", b"{"):
        answer = json.loads(answer)
    if isinstance(answer, dict):
        is_protocol = "outputs" in answer or "model_name" in answer
        return {
            str(key): plain(value)
            for key, value in answer.items()
            if not (is_protocol and key in PASSING) and key != STATE
        }
    if isinstance(answer, (list, tuple)):
        return [plain(one) for one in answer]
    if hasattr(answer, "item"):
        return answer.item()
    return answer if isinstance(answer, (str, int, float, bool, type(None))) else str(answer)
