"""File and table formats: the types of columns, for reading and writing alike."""
