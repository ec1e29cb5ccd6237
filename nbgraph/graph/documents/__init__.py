"""A graph as plain data, as YAML and as a file, and back."""
