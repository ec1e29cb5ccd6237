"""What goes along the edges of a graph becomes counts."""
