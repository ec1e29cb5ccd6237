"""Steps that make features of the fields of a body."""
