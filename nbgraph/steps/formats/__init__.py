"""How rows stand in files and tables: the types of columns, read and written alike."""
