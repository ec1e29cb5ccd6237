"""Steps that call an HTTP service."""
