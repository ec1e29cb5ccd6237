"""How events travel between functions: one protocol, several transports."""
