"""Windows of time, and the steps that aggregate over them."""
