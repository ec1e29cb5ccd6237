"""The transport over Kafka."""
