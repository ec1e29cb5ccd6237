"""Functions as containers of a Docker daemon."""
