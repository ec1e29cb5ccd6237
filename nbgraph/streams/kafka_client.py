"""Kafka's client, which is an extra: `pip install nbgraph[kafka]`."""

from __future__ import annotations

from typing import Any

from nbgraph.errors import NbgraphError

try:
    import confluent_kafka as kafka
    import confluent_kafka.admin
except ModuleNotFoundError as error:
    raise NbgraphError("KafkaBroker needs the package confluent-kafka: pip install confluent-kafka") from error

__all__ = ["administration", "kafka"]
administration: Any = confluent_kafka.admin  # its types do not tell what it exports
