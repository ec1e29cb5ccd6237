"""Serving graphs of MLRun, translated."""
