"""The transport of one process."""
