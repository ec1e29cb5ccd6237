"""What a monitor has found, as rows, for a terminal and as a page."""
