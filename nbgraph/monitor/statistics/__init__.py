"""What values of fields are counted in, and what the counts tell."""
