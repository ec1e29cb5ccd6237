"""Labels: the truth about events that were answered before, told by whoever learns it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nbgraph.errors import NbgraphError
from nbgraph.serve.reply import JSON, Reply, error_of
from nbgraph.streams.codec.wire import encode

if TYPE_CHECKING:
    from nbgraph.monitor.ledger import Ledger, Receipt


async def reply_of_labels(ledger: Ledger, body: bytes) -> Reply:
    """202 with how many were joined with a prediction, wait for one, or had been told; 400 for what is no label."""
    try:
        receipt = await asyncio.to_thread(_kept, ledger, body)
    except NbgraphError as error:
        return error_of(400, str(error))
    return Reply(202, JSON, encode(receipt._asdict()))


def _kept(ledger: Ledger, body: bytes) -> Receipt:
    from nbgraph.monitor.ledger import told_labels

    return ledger.label(told_labels(body))
