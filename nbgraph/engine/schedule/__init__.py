"""Many events through one plan: concurrent steps, streams."""
