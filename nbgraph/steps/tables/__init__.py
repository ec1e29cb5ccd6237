"""Tables of rows by key, their drivers, and the step that joins with them."""
