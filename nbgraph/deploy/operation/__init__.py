"""What a running deployment is asked and told."""
