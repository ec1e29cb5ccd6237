"""A graph that stays up: regions between queues, each worked on by a thread."""
