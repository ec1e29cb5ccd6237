"""The module of handlers that is written for a project."""
