"""The proof of a capture: the project is loaded in another process and compared with the live objects."""
