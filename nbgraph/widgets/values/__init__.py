"""Values as messages that a view can draw."""
