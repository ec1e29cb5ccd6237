"""The files of a function, and its image."""
