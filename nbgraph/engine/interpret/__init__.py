"""A plan executed step by step, with observers."""
