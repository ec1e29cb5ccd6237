"""What a job writes: a file a part, and what becomes of them."""
