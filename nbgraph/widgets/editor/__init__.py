"""Graphs edited by hand."""
