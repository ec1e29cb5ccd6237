"""Metrics, traces, logs, failures and captures of a worker."""
