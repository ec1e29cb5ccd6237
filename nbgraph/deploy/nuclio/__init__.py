"""Functions for Nuclio."""
