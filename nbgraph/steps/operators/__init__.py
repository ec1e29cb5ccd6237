"""Steps that map, filter, gather and route any body."""
