"""A plan as generated Python functions."""
