"""Steps that pass an event to one or several routes."""
