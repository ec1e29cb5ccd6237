"""What a graph that is loaded from a text may contain, and what its expressions may compute."""
