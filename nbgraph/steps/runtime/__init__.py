"""Threads and processes that steps run work on."""
