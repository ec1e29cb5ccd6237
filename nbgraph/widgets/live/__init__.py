"""What a live picture knows of a run."""
