"""Requests that outlive their connection: deferred answers, idempotency keys, recovery."""
