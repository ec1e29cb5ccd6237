"""A debugger driven by buttons."""
